//! The users that a manifest names.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Chunks, UserEntry, UserStats,
    packed::{PackedFields, PackedItems, put_number, put_text, put_texts},
};

/// A list of users in few bytes: of each there is an entry when it is asked for. As JSON, the list of the entries.
#[derive(Debug, Clone, Default)]
pub struct UserList(Arc<PackedItems>);

impl UserList {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each of them, in the order of the manifest.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = UserEntry> + Clone + '_ {
        (0..self.len()).map(|at| unpack(self.0.get(at)))
    }

    /// The one at a place.
    pub fn get(&self, at: usize) -> Option<UserEntry> {
        (at < self.len()).then(|| unpack(self.0.get(at)))
    }

    /// The first one.
    pub fn first(&self) -> Option<UserEntry> {
        self.get(0)
    }

    /// The ids alone.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.0.get(at).text())
    }

    /// To look users up by their ids.
    pub fn by_id(&self) -> UsersById<'_> {
        let id = |place| self.0.get(place).text();
        let order = crate::sorted(self.len(), &|one, other| id(one).cmp(id(other)));
        UsersById { list: self, order }
    }

    /// Adds one at the end.
    pub fn push(&mut self, user: &UserEntry) {
        Arc::make_mut(&mut self.0).push(|out| pack(user, out));
    }

    /// Gives back memory that is reserved and not used.
    pub(super) fn shrink(&mut self) {
        Arc::make_mut(&mut self.0).shrink();
    }

    /// Keeps only some.
    pub fn retain(&mut self, mut keep: impl FnMut(&UserEntry) -> bool) {
        let mut kept = UserList::default();
        for user in self.iter().filter(|user| keep(user)) {
            kept.push(&user);
        }
        *self = kept;
    }
}

/// The users of a list, to be looked up by their ids.
#[derive(Debug, Clone)]
pub struct UsersById<'l> {
    list: &'l UserList,
    /// Places, in the order of the ids.
    order: Vec<u32>,
}

impl UsersById<'_> {
    /// The user of that id; of several, the last.
    pub fn get(&self, user_id: &str) -> Option<UserEntry> {
        let id = |place: &u32| self.list.0.get(*place as usize).text();
        let after = self.order.partition_point(|place| id(place) <= user_id);
        let place = self.order.get(after.checked_sub(1)?)?;
        let user = self.list.get(*place as usize);
        user.filter(|user| user.user_id == user_id)
    }
}

fn pack(user: &UserEntry, out: &mut Vec<u8>) {
    put_text(out, &user.user_id);
    put_text(out, &user.username);
    put_texts(out, &user.other_names);
    put_number(out, user.backup_timestamp.cast_unsigned());
    for (_, number) in user.stats.by_name() {
        put_number(out, number);
    }
    put_number(
        out,
        u64::from(user.whole) | u64::from(user.chunks.audit.is_some()) << 1,
    );
    put_texts(out, &user.chunks.events);
    put_texts(out, user.chunks.audit.as_deref().unwrap_or_default());
}

fn unpack(mut fields: PackedFields<'_>) -> UserEntry {
    let (user_id, username) = (fields.text().to_owned(), fields.text().to_owned());
    let other_names = fields.texts();
    let backup_timestamp = fields.number().cast_signed();
    let stats = UserStats {
        streams: fields.number(),
        accesses: fields.number(),
        profile: fields.number(),
        webhooks: fields.number(),
        events: fields.number(),
        audit: fields.number(),
        series: fields.number(),
        attachments: fields.number(),
    };
    let flags = fields.number();
    let (events, audit) = (fields.texts(), fields.texts());
    UserEntry {
        user_id,
        username,
        other_names,
        backup_timestamp,
        stats,
        chunks: Chunks {
            events,
            audit: (flags & 2 != 0).then_some(audit),
        },
        whole: flags & 1 != 0,
    }
}

impl Extend<UserEntry> for UserList {
    fn extend<I: IntoIterator<Item = UserEntry>>(&mut self, users: I) {
        for user in users {
            self.push(&user);
        }
    }
}

impl FromIterator<UserEntry> for UserList {
    fn from_iter<I: IntoIterator<Item = UserEntry>>(users: I) -> Self {
        let mut all = UserList::default();
        all.extend(users);
        all
    }
}

impl Serialize for UserList {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for UserList {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut users = UserList::default();
        super::items::each(from, |user: UserEntry| users.push(&user))?;
        users.shrink();
        Ok(users)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_come_back_as_they_went() {
        let json = r#"[{"userId":"u1","username":"añ","otherNames":["b","c"],"backupTimestamp":-5,"stats":{"streams":1,"accesses":200,"profile":0,"webhooks":0,"events":70000,"audit":3,"series":18446744073709551615,"attachments":2},"chunks":{"events":["events-0001.jsonl.gz"],"audit":[]},"whole":true},{"userId":"","username":"","backupTimestamp":1,"stats":{"streams":0,"accesses":0,"profile":0,"webhooks":0,"events":0,"audit":0,"series":0,"attachments":0},"chunks":{"events":[]}}]"#;
        let mut users: UserList = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&users).unwrap(), json);
        assert_eq!(users.ids().collect::<Vec<_>>(), ["u1", ""]);
        assert_eq!(users.get(1).unwrap().backup_timestamp, 1);
        assert!(users.get(2).is_none());
        let by_id = users.by_id();
        assert_eq!(by_id.get("u1").unwrap().username, "añ");
        assert!(by_id.get("u2").is_none());
        users.retain(|user| user.user_id.is_empty());
        assert_eq!(users.len(), 1);
        assert!(users.first().unwrap().chunks.audit.is_none());
        for wrong in ["{}", "5", r#"[{"username":"a"}]"#, "[[]]"] {
            assert!(serde_json::from_str::<UserList>(wrong).is_err(), "{wrong}");
        }
    }
}
