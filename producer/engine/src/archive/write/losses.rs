//! Losses: named one by one as far as somebody is going to read them, and counted beyond.

use std::collections::BTreeMap;

use crate::limits::MAX_NAMED_LOSSES_OF_USER;
use decryptor_wasm::manifest::Loss;

/// The losses of one user.
#[derive(Default)]
pub struct Losses {
    named: Vec<Loss>,
    /// Numbers of the others, by collection.
    others: BTreeMap<Option<String>, u64>,
}

impl Losses {
    /// Adds one.
    pub fn add(&mut self, loss: Loss) {
        if self.named.len() < MAX_NAMED_LOSSES_OF_USER {
            self.named.push(loss);
        } else {
            *self.others.entry(loss.collection).or_default() += 1;
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.named.len() as u64 + self.others.values().sum::<u64>()
    }

    /// All of them.
    pub fn take(&mut self, user_id: &str) -> Vec<Loss> {
        let mut all = std::mem::take(&mut self.named);
        let others = std::mem::take(&mut self.others);
        all.extend(others.into_iter().map(|(collection, number)| Loss {
            user_id: Some(user_id.to_owned()),
            path: None,
            what: format!("{number} more losses, which are not named each; mend the cause of those that are, and run the backup again"),
            collection,
        }));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_some_number_losses_are_counted() {
        let mut losses = Losses::default();
        for n in 0..MAX_NAMED_LOSSES_OF_USER + 7 {
            losses.add(Loss {
                user_id: None,
                collection: Some(if n % 2 == 0 { "events" } else { "audit" }.to_owned()),
                path: None,
                what: n.to_string(),
            });
        }
        assert_eq!(losses.count(), MAX_NAMED_LOSSES_OF_USER as u64 + 7);
        let all = losses.take("u");
        assert_eq!(all.len(), MAX_NAMED_LOSSES_OF_USER + 2);
        let said: Vec<&str> = all[MAX_NAMED_LOSSES_OF_USER..]
            .iter()
            .map(|l| l.what.as_str())
            .collect();
        assert!(
            said[0].starts_with("3 more") && said[1].starts_with("4 more"),
            "{said:?}"
        );
        assert!(losses.take("u").is_empty());
    }
}
