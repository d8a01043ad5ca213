//! Small members that lie near each other in a volume, to be read in one piece: a request for each would cost more than what lies between.

use std::cmp::Ordering;

use super::{HEADER_MOST, Members, Place, Range, header};

/// Larger members are read by themselves: the cipher of a host is faster than what it costs to ask it.
pub const SMALL: u64 = 16 * 1024;
/// Bytes that are read in one piece.
const MOST: u64 = 1024 * 1024;
/// No more bytes than this between two members are read along.
const GAP: u64 = 64 * 1024;
/// Files come in their order, with so many left out between two of them.
const NEAR: usize = 8;

/// A piece of a volume, and small members in it.
#[derive(Debug)]
pub struct VolumePiece {
    /// The piece.
    pub range: Range,
    /// The members, each with the number by which it was asked for.
    pub members: Vec<(u32, BlockMember)>,
}

/// A member in a piece of a volume.
#[derive(Debug, PartialEq, Eq)]
pub struct BlockMember {
    /// As its header has it.
    pub path: String,
    /// Where its header begins, in bytes from the beginning of the piece.
    pub at: u64,
    /// Bytes of its content.
    pub size: u64,
}

impl Members {
    /// The pieces of volumes that hold these files, each a number and a path. The numbers of files that are large or in no volume are added
    /// to `others`.
    pub fn blocks(
        &self,
        files: &mut dyn Iterator<Item = (u32, String)>,
        others: &mut Vec<u32>,
    ) -> Vec<VolumePiece> {
        let mut small: Vec<(Place, u32, String)> = Vec::new();
        let mut next = 0;
        for (number, path) in files {
            let mut near = next..next + NEAR;
            let is_there = |at: &usize| self.files.compare(*at, &path) == Ordering::Equal;
            let at = near.find(is_there).or_else(|| self.files.find(&path));
            next = at.map_or(next, |at| at + 1);
            match at.and_then(|at| self.place_of(at)) {
                Some(place) if place.size <= SMALL => small.push((place, number, path)),
                _ => others.push(number),
            }
        }
        let order = crate::sorted(small.len(), &|one, other| {
            let place = |at: usize| (small[at].0.volume, small[at].0.offset);
            place(one).cmp(&place(other))
        });
        let mut blocks: Vec<VolumePiece> = Vec::new();
        let mut last: Option<(Place, u64)> = None;
        for (place, number, path) in order.iter().map(|at| &small[*at as usize]) {
            let end = place.offset.saturating_add(HEADER_MOST as u64 + place.size);
            let near = last.filter(|(first, last_end)| {
                first.volume == place.volume
                    && place.offset.saturating_sub(*last_end) <= GAP
                    && end - first.offset <= MOST
            });
            let member = BlockMember {
                path: self.path_within(path, *place).to_owned(),
                at: place.offset - near.map_or(place.offset, |(first, _)| first.offset),
                size: place.size,
            };
            match (near, blocks.last_mut()) {
                (Some((first, _)), Some(block)) => {
                    block.range.length = end - first.offset;
                    block.members.push((*number, member));
                    last = Some((first, end));
                }
                _ => {
                    blocks.push(VolumePiece {
                        range: Range {
                            path: self.volume(*place).to_owned(),
                            offset: place.offset,
                            length: end - place.offset,
                        },
                        members: vec![(*number, member)],
                    });
                    last = Some((*place, end));
                }
            }
        }
        blocks
    }
}

impl BlockMember {
    /// Its content, as it is stored; none where another file lies in its place, or the piece ends before.
    pub fn stored<'b>(&self, piece: &'b [u8]) -> Option<&'b [u8]> {
        let rest = piece.get(usize::try_from(self.at).ok()?..)?;
        let content = rest.strip_prefix(header(&self.path, self.size).as_slice())?;
        content.get(..usize::try_from(self.size).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::tests::{folder, members};

    #[test]
    fn members_near_each_other_come_in_one_piece() {
        let files = folder();
        let members = members(&files, false);
        let paths: Vec<String> = members.files.iter().map(|(path, _)| path).collect();
        let mut others = Vec::new();
        let mut wanted = (0..).zip(paths.clone());
        let blocks = members.blocks(&mut wanted, &mut others);
        let separate = others.iter().map(|number| paths[*number as usize].as_str());
        let volumes = ["volume-0001.tar", "volume-0002.tar"];
        assert_eq!(
            separate.collect::<Vec<_>>(),
            [&["manifest.json"], &volumes[..], &["volumes.json"]].concat()
        );
        assert!(blocks.iter().map(|block| &block.range.path).eq(volumes));
        let mut found = others;
        for block in blocks {
            let bytes = &files.iter().find(|(path, _)| *path == block.range.path);
            let bytes = &bytes.unwrap().1[block.range.offset as usize..];
            for (number, member) in block.members {
                let path = &paths[number as usize];
                assert_eq!(member.stored(bytes), Some(path.as_bytes()));
                let content = member.at as usize + header(path, member.size).len();
                assert_eq!(member.stored(&bytes[..content + path.len() - 1]), None);
                let mut other = bytes.to_vec();
                other[content - 1] ^= 1;
                assert_eq!(member.stored(&other), None, "{path}");
                found.push(number);
            }
        }
        found.sort_unstable();
        assert!(found.into_iter().eq(0..paths.len() as u32));
    }

    #[test]
    fn large_members_and_those_far_away_are_in_no_block() {
        let mut members = Members::default();
        let mut found = super::super::members::Found::default();
        members.volumes = vec!["volume-0001.tar".to_owned()];
        let mut offset = 0;
        for (path, size) in [
            ("a", 1),
            ("b", SMALL),
            ("c", SMALL + 1),
            ("d", 1),
            ("e", GAP * 2),
            ("f", 1),
        ] {
            let place = Place {
                volume: 0,
                offset,
                size,
            };
            found.push(path, place);
            offset += (512 + size).next_multiple_of(512);
        }
        members.arrange(found);
        let paths = members.files.iter().map(|(path, _)| path);
        let mut others = Vec::new();
        let blocks = members.blocks(&mut (0..).zip(paths), &mut others);
        assert_eq!(others, [2, 4]);
        let numbers = blocks.iter().map(|block| {
            let members = block.members.iter();
            members.map(|(number, _)| *number).collect::<Vec<_>>()
        });
        assert_eq!(numbers.collect::<Vec<_>>(), [vec![0, 1, 3], vec![5]]);
    }
}
