//! A target that keeps what the export of one user brings.

use pryv_backup_engine::platform::{
    Attachment, Collection, Platform, PlatformLoss, SinkError, Target, User, UserSink, UserTarget,
};
use std::io::Read;
use std::sync::{Mutex, MutexGuard};

/// Exports one user into a new `S`.
pub fn export<S: UserSink + Default + Send>(platform: &dyn Platform, user: &User) -> S {
    let keeper = Keeper::<S>::default();
    platform
        .export_all(std::slice::from_ref(user), 1, &keeper)
        .unwrap();
    keeper.0.into_inner().unwrap()
}

#[derive(Default)]
struct Keeper<S>(Mutex<S>);

struct Open<'a, S>(&'a Keeper<S>);

struct Sink<'a, S>(MutexGuard<'a, S>);

impl<S: UserSink + Send> Target for Keeper<S> {
    fn begin<'a>(&'a self, _: &'a User) -> Result<Box<dyn UserTarget + 'a>, SinkError> {
        Ok(Box::new(Open(self)))
    }

    fn lose(&self, loss: PlatformLoss) {
        self.0.lock().unwrap().loss(loss).unwrap();
    }
}

impl<S: UserSink + Send> UserTarget for Open<'_, S> {
    fn sink(&self) -> Box<dyn UserSink + '_> {
        Box::new(Sink(self.0.0.lock().unwrap()))
    }
    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

impl<S: UserSink> UserSink for Sink<'_, S> {
    fn record(&mut self, collection: Collection, line: &[u8]) -> Result<(), SinkError> {
        self.0.record(collection, line)
    }
    fn attachment(
        &mut self,
        file: &Attachment,
        length: Option<u64>,
        reader: &mut dyn Read,
    ) -> Result<(), SinkError> {
        self.0.attachment(file, length, reader)
    }
    fn loss(&mut self, loss: PlatformLoss) -> Result<(), SinkError> {
        self.0.loss(loss)
    }
    fn as_it_was(&mut self, collections: &[Collection], looks: &[u8]) -> bool {
        self.0.as_it_was(collections, looks)
    }
}
