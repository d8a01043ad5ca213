//! Structs that are objects in JSON. Without this, serde would take a list of values for one too, and bring code for that of each struct into
//! the WASM file.

use serde::{Deserializer, de::Visitor, forward_to_deserialize_any};

/// Asks for an object where a struct is wanted.
pub(crate) struct AsObject<D>(pub D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for AsObject<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

/// Reads and writes structs that are derived with `#[serde(remote = "Self")]`; with `read`, one that is read only.
macro_rules! objects {
    (read $type:ty) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
                <$type>::deserialize($crate::object::AsObject(from))
            }
        }
    };
    ($($type:ty),+ $(,)?) => {$(
        $crate::object::objects!(read $type);

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
                <$type>::serialize(self, to)
            }
        }
    )+};
}
pub(crate) use objects;
