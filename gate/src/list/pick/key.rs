//! Looks the keys of maps up among the wanted fields, without a copy of each.

use std::fmt::Display;

use serde::Serialize;
use serde::ser::{Error as _, Impossible, Serializer};
use serde_json::Error;

use super::Wanted;

/// What a key is worth: the wanted field of this name, if there is one.
type Found<'w> = Option<&'w (String, Wanted)>;

pub(super) struct Key<'w>(pub(super) &'w Wanted);

macro_rules! shown {
    ($($method:ident: $kind:ty),* $(,)?) => {
        $(fn $method(self, value: $kind) -> Result<Found<'w>, Error> {
            self.shown(value)
        })*
    };
}

impl<'w> Key<'w> {
    fn shown(self, key: impl Display) -> Result<Found<'w>, Error> {
        Ok(self.0.find(&key.to_string()))
    }
}

fn no_text<T>() -> Result<T, Error> {
    Err(Error::custom("the key of a map is text or a number"))
}

impl<'w> Serializer for Key<'w> {
    type Ok = Found<'w>;
    type Error = Error;
    type SerializeSeq = Impossible<Found<'w>, Error>;
    type SerializeTuple = Impossible<Found<'w>, Error>;
    type SerializeTupleStruct = Impossible<Found<'w>, Error>;
    type SerializeTupleVariant = Impossible<Found<'w>, Error>;
    type SerializeMap = Impossible<Found<'w>, Error>;
    type SerializeStruct = Impossible<Found<'w>, Error>;
    type SerializeStructVariant = Impossible<Found<'w>, Error>;

    shown!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_f32: f32,
        serialize_f64: f64, serialize_char: char,
    );

    fn serialize_str(self, key: &str) -> Result<Found<'w>, Error> {
        Ok(self.0.find(key))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<Found<'w>, Error> {
        no_text()
    }

    fn serialize_none(self) -> Result<Found<'w>, Error> {
        no_text()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, key: &T) -> Result<Found<'w>, Error> {
        key.serialize(self)
    }

    fn serialize_unit(self) -> Result<Found<'w>, Error> {
        no_text()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Found<'w>, Error> {
        no_text()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Found<'w>, Error> {
        Ok(self.0.find(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, key: &T) -> Result<Found<'w>, Error> {
        key.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Found<'w>, Error> {
        no_text()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        no_text()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        no_text()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Error> {
        no_text()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        no_text()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        no_text()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Error> {
        no_text()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        no_text()
    }
}
