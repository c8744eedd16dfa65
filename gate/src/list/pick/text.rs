//! Picks fields out of JSON text; the rest is passed over, not kept.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Error, Map, Number, Value};

use super::Wanted;

/// The wanted fields of a JSON text.
pub(super) fn pick(json: &str, wanted: &Wanted) -> Result<Value, Error> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let picked = Seed(wanted).deserialize(&mut reader)?;
    reader.end()?;
    Ok(picked)
}

#[derive(Clone, Copy)]
struct Seed<'w>(&'w Wanted);

/// Reads a key as the wanted field of its name.
#[derive(Clone, Copy)]
struct Name<'w>(&'w Wanted);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        if self.0.whole { Value::deserialize(reader) } else { reader.deserialize_any(self) }
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut picked = Vec::new();
        while let Some(entry) = entries.next_element_seed(self)? {
            picked.push(entry);
        }
        Ok(Value::Array(picked))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut picked = Map::new();
        while let Some(found) = fields.next_key_seed(Name(self.0))? {
            match found {
                Some((name, wanted)) => {
                    picked.insert(name.clone(), fields.next_value_seed(Seed(wanted))?);
                }
                None => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Value::Object(picked))
    }
}

impl<'de, 'w> DeserializeSeed<'de> for Name<'w> {
    type Value = Option<&'w (String, Wanted)>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'w> Visitor<'_> for Name<'w> {
    type Value = Option<&'w (String, Wanted)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.find(name))
    }
}
