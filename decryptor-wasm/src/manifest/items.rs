//! Lists in JSON whose items are taken one by one.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

/// Takes the items of a list one by one.
pub(super) fn each<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
    take: impl FnMut(T),
) -> std::result::Result<(), D::Error> {
    struct Each<T, F>(F, PhantomData<T>);

    impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<T, F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(
            mut self,
            mut items: A,
        ) -> std::result::Result<(), A::Error> {
            while let Some(item) = items.next_element()? {
                (self.0)(item);
            }
            Ok(())
        }
    }

    from.deserialize_seq(Each(take, PhantomData))
}
