//! A made-up platform with something of everything that Pryv.io keeps, odd values included, for either engine.

mod events;
mod postgres;
mod records;
mod sqlite;

pub use records::{RichUser, users};

use crate::stage::{Platform, Stage};
use std::fs;
use std::path::Path;

/// One row: columns by their names in PostgreSQL, values as JSON.
pub type Row = Vec<(&'static str, String)>;

/// Fills an empty platform of whichever engine with `count` users, all of them different for another `seed`.
///
/// # Panics
/// When it cannot.
pub fn fill(stage: &Stage, platform: &Platform<'_>, count: usize, seed: u64) -> Vec<RichUser> {
    let sqlite = platform.database.is_none();
    let users = users(count, seed, sqlite);
    if sqlite {
        sqlite::fill(&stage.fixtures, platform, &users);
    } else {
        postgres::fill(platform, &users);
    }
    for user in &users {
        for (event, file, content) in &user.attachments {
            let mut folder = folder(&platform.users, &user.id);
            folder.extend(["attachments", event]);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(file), content).unwrap();
        }
    }
    users
}

/// Where the files of an owner lie: below three folders of one letter each.
#[must_use]
pub fn folder(users: &Path, owner: &str) -> std::path::PathBuf {
    let mut folder = users.to_owned();
    folder.extend(owner.chars().rev().take(3).map(String::from));
    folder.join(owner)
}

/// The name of a column in records.
#[must_use]
pub fn camel(column: &str) -> String {
    let mut name = String::new();
    let mut upper = false;
    for letter in column.chars() {
        match letter {
            '_' => upper = true,
            _ if upper => {
                name.extend(letter.to_uppercase());
                upper = false;
            }
            _ => name.push(letter),
        }
    }
    name
}
