//! Where the streams of a user are.

use std::collections::HashMap;

/// Streams by the parents that their records name, which may come after them.
#[derive(Default)]
pub struct Tree {
    numbers: HashMap<String, usize>,
    streams: Vec<Stream>,
    /// How many walks to a root were made.
    walks: usize,
    /// The streams of the last walk.
    walk: Vec<usize>,
}

struct Stream {
    id: String,
    /// There is a record of it.
    known: bool,
    parent: Option<usize>,
    /// The last walk that came through here.
    walk: usize,
}

impl Tree {
    /// Adds a stream.
    pub fn add(&mut self, id: String, parent: Option<String>) {
        let number = self.number(id);
        let parent = parent.map(|parent| self.number(parent));
        self.streams[number].known = true;
        self.streams[number].parent = parent;
    }

    fn number(&mut self, id: String) -> usize {
        if let Some(number) = self.numbers.get(&id) {
            return *number;
        }
        let number = self.streams.len();
        self.streams.push(Stream {
            id: id.clone(),
            known: false,
            parent: None,
            walk: 0,
        });
        self.numbers.insert(id, number);
        number
    }

    /// The ids from the root down, each with a slash. A parent that is missing, or its own ancestor, ends the path.
    ///
    /// # Errors
    /// A sentence, when that has more than `longest` bytes.
    pub fn path(&mut self, id: &str, longest: usize) -> Result<String, String> {
        let Some(number) = self.numbers.get(id) else {
            return Ok(format!("{id}/"));
        };
        self.walks += 1;
        self.walk.clear();
        let mut length = 0;
        let mut next = Some(*number);
        while let Some(at) = next {
            let stream = &mut self.streams[at];
            stream.walk = self.walks;
            length += stream.id.len() + 1;
            if length > longest {
                return Err(format!(
                    "stream {id:?} lies too deep: the ids of all that it lies in have more than {longest} bytes, which the platform does not hold"
                ));
            }
            self.walk.push(at);
            next = stream.parent.filter(|parent| {
                let parent = &self.streams[*parent];
                parent.known && parent.walk != self.walks
            });
        }
        let mut path = String::with_capacity(length);
        for at in self.walk.iter().rev() {
            path += &self.streams[*at].id;
            path.push('/');
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(streams: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (id, parent) in streams {
            let parent = (!parent.is_empty()).then(|| (*parent).to_owned());
            tree.add((*id).to_owned(), parent);
        }
        tree
    }

    #[test]
    fn the_way_ends_somewhere() {
        let mut tree = tree(&[
            ("c", "b"),
            ("b", "a"),
            ("a", ""),
            ("lost", "gone"),
            ("x", "y"),
            ("y", "x"),
            ("z", "x"),
            ("self", "self"),
        ]);
        for (id, path) in [
            ("a", "a/"),
            ("c", "a/b/c/"),
            ("lost", "lost/"),
            ("gone", "gone/"),
            ("nobody", "nobody/"),
            ("x", "y/x/"),
            ("y", "x/y/"),
            ("z", "y/x/z/"),
            ("self", "self/"),
        ] {
            assert_eq!(tree.path(id, 100).as_deref(), Ok(path));
        }
        assert!(
            tree.path("c", 5)
                .is_err_and(|e| e.contains("\"c\" lies too deep"))
        );
    }
}
