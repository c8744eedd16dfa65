//! Picking fields out of items while they serialize, so that what nobody asked for is never written.

mod key;
mod text;

use serde::Serialize;
use serde::ser::{Error as _, SerializeMap, SerializeSeq, SerializeStruct, Serializer};
use serde::ser::{SerializeTuple, SerializeTupleStruct};
use serde_json::{Error, Map, Value};

use self::key::Key;
use super::path::Path;

/// How `serde_json` names what is JSON already; a test keeps that it does.
const RAW: &str = "$serde_json::private::RawValue";

/// Writes everything.
use serde_json::value::Serializer as Whole;

/// The fields that are wanted, as a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Wanted with all that is below it.
    whole: bool,
    below: Vec<(String, Wanted)>,
}

impl Wanted {
    pub(crate) fn add(&mut self, path: &Path) {
        let mut place = self;
        for name in path.names() {
            let index = match place.below.iter().position(|(known, _)| known == name) {
                Some(index) => index,
                None => {
                    place.below.push((name.clone(), Self::default()));
                    place.below.len() - 1
                }
            };
            let Some((_, next)) = place.below.get_mut(index) else { return };
            place = next;
        }
        place.whole = true;
    }

    /// Whether nothing is wanted.
    pub(crate) fn is_empty(&self) -> bool {
        !self.whole && self.below.is_empty()
    }

    /// The wanted fields of an item, in the item's own order. What is no object or list is taken whole.
    pub(crate) fn of<T: Serialize + ?Sized>(&self, item: &T) -> Result<Value, Error> {
        if self.whole { item.serialize(Whole) } else { item.serialize(Picker(self)) }
    }

    fn find(&self, name: &str) -> Option<&(String, Self)> {
        self.below.iter().find(|(known, _)| known == name)
    }
}

struct Picker<'w>(&'w Wanted);

/// Entries of a list, each with its wanted fields.
struct Entries<'w> {
    wanted: &'w Wanted,
    picked: Vec<Value>,
}

/// The wanted fields of an object.
struct Object<'w> {
    wanted: &'w Wanted,
    picked: Map<String, Value>,
    key: Option<&'w (String, Wanted)>,
    raw: Option<Value>,
}

macro_rules! whole {
    ($($method:ident: $kind:ty),* $(,)?) => {
        $(fn $method(self, value: $kind) -> Result<Value, Error> {
            Whole.$method(value)
        })*
    };
}

impl<'w> Serializer for Picker<'w> {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = Entries<'w>;
    type SerializeTuple = Entries<'w>;
    type SerializeTupleStruct = Entries<'w>;
    type SerializeTupleVariant = <Whole as Serializer>::SerializeTupleVariant;
    type SerializeMap = Object<'w>;
    type SerializeStruct = Object<'w>;
    type SerializeStructVariant = <Whole as Serializer>::SerializeStructVariant;

    whole!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_f32: f32,
        serialize_f64: f64, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8],
    );

    fn serialize_none(self) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<Value, Error> {
        Whole.serialize_unit_struct(name)
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<Value, Error> {
        Whole.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Value, Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Error> {
        let mut object = Object::new(self.0);
        object.field(variant, value)?;
        Ok(Value::Object(object.picked))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Entries<'w>, Error> {
        Ok(Entries { wanted: self.0, picked: Vec::new() })
    }

    fn serialize_tuple(self, len: usize) -> Result<Entries<'w>, Error> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Entries<'w>, Error> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Whole.serialize_tuple_variant(name, index, variant, len)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Object<'w>, Error> {
        Ok(Object::new(self.0))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Object<'w>, Error> {
        Ok(Object::new(self.0))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Whole.serialize_struct_variant(name, index, variant, len)
    }
}

impl Entries<'_> {
    fn entry<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.picked.push(self.wanted.of(value)?);
        Ok(())
    }
}

impl SerializeSeq for Entries<'_> {
    type Ok = Value;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.entry(value)
    }

    fn end(self) -> Result<Value, Error> {
        Ok(Value::Array(self.picked))
    }
}

impl SerializeTuple for Entries<'_> {
    type Ok = Value;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.entry(value)
    }

    fn end(self) -> Result<Value, Error> {
        Ok(Value::Array(self.picked))
    }
}

impl SerializeTupleStruct for Entries<'_> {
    type Ok = Value;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.entry(value)
    }

    fn end(self) -> Result<Value, Error> {
        Ok(Value::Array(self.picked))
    }
}

impl<'w> Object<'w> {
    fn new(wanted: &'w Wanted) -> Self {
        Self { wanted, picked: Map::new(), key: None, raw: None }
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        if let Some((name, wanted)) = self.wanted.find(name) {
            self.picked.insert(name.clone(), wanted.of(value)?);
        }
        Ok(())
    }
}

impl SerializeStruct for Object<'_> {
    type Ok = Value;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        if name != RAW {
            return self.field(name, value);
        }
        let Value::String(json) = value.serialize(Whole)? else { return Err(Error::custom("raw JSON is text")) };
        self.raw = Some(text::pick(&json, self.wanted)?);
        Ok(())
    }

    fn end(self) -> Result<Value, Error> {
        Ok(self.raw.unwrap_or(Value::Object(self.picked)))
    }
}

impl SerializeMap for Object<'_> {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = key.serialize(Key(self.wanted))?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if let Some((name, wanted)) = self.key.take() {
            self.picked.insert(name.clone(), wanted.of(value)?);
        }
        Ok(())
    }

    fn end(self) -> Result<Value, Error> {
        Ok(Value::Object(self.picked))
    }
}
