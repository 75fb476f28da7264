//! What a container's process is started with: its words and its environment.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::process::Invocation;
use super::spec::{ContainerSpec, KeyReference, Reference, Variable};
use crate::store::Store;

/// Why a container cannot be created. The words are a kubelet's.
#[derive(Debug)]
pub(super) struct ConfigError(pub(super) String);

/// Where containers find their pod's namespace, fields and neighbours.
pub(super) struct Surroundings<'a> {
    pub(super) store: &'a Store,
    pub(super) pod: &'a Value,
    pub(super) namespace: &'a str,
}

impl Surroundings<'_> {
    /// How to run `container` in `directory`, where its termination message is put as well.
    pub(super) fn invocation(
        &self,
        container: &ContainerSpec,
        directory: &Path,
        message: &Path,
    ) -> Result<Invocation, ConfigError> {
        let variables = self.variables(container)?;
        let message = message.display().to_string();
        let mut words: Vec<String> = container
            .command
            .iter()
            .chain(&container.args)
            .map(|word| expand(word, &variables).replace(&container.termination_message_path, &message))
            .collect();
        if container.command.is_empty() && container.args.is_empty() {
            // What busybox itself runs: a shell, which ends at once because nothing is typed.
            words.push("sh".to_owned());
        }
        Ok(Invocation {
            words,
            environment: variables.into_iter().collect(),
            directory: directory.to_owned(),
        })
    }

    fn variables(&self, container: &ContainerSpec) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut variables = BTreeMap::new();
        let name = self.pod["metadata"]["name"].as_str().unwrap_or_default();
        variables.insert("HOSTNAME".to_owned(), name.to_owned());
        for source in &container.env_from {
            let data = match (&source.config_map_ref, &source.secret_ref) {
                (Some(reference), _) => self.data("configmaps", reference)?,
                (None, Some(reference)) => self.data("secrets", reference)?,
                (None, None) => continue,
            };
            for (key, value) in data {
                variables.insert(format!("{}{key}", source.prefix), value);
            }
        }
        for variable in &container.env {
            if let Some(value) = self.value(variable, &variables)? {
                variables.insert(variable.name.clone(), value);
            }
        }
        Ok(variables)
    }

    fn value(
        &self,
        variable: &Variable,
        known: &BTreeMap<String, String>,
    ) -> Result<Option<String>, ConfigError> {
        let Some(from) = &variable.value_from else {
            let value = variable.value.as_deref().unwrap_or_default();
            return Ok(Some(expand(value, known)));
        };
        if let Some(reference) = &from.config_map_key_ref {
            return self.key("configmaps", reference);
        }
        if let Some(reference) = &from.secret_key_ref {
            return self.key("secrets", reference);
        }
        Ok(from.field_ref.as_ref().map(|field| self.field(&field.field_path)))
    }

    fn key(&self, resource: &str, key: &KeyReference) -> Result<Option<String>, ConfigError> {
        let reference = Reference {
            name: key.name.clone(),
            optional: key.optional,
        };
        let value = self.data(resource, &reference)?.remove(&key.key);
        if value.is_none() && !key.optional {
            let Reference { name, .. } = reference;
            let kind = kind(resource);
            let namespace = self.namespace;
            return Err(ConfigError(format!(
                "couldn't find key {} in {kind} {namespace}/{name}",
                key.key
            )));
        }
        Ok(value)
    }

    fn data(&self, resource: &str, reference: &Reference) -> Result<BTreeMap<String, String>, ConfigError> {
        let Some(object) = self.store.get(resource, Some(self.namespace), &reference.name) else {
            if reference.optional {
                return Ok(BTreeMap::new());
            }
            let (kind, name) = (resource.trim_end_matches('s'), &reference.name);
            return Err(ConfigError(format!("{kind} \"{name}\" not found")));
        };
        Ok(texts(&object, resource == "secrets"))
    }

    fn field(&self, path: &str) -> String {
        let keyed = path.strip_suffix("']").and_then(|path| path.split_once("['"));
        let value = match keyed {
            Some(("metadata.labels", key)) => &self.pod["metadata"]["labels"][key],
            Some(("metadata.annotations", key)) => &self.pod["metadata"]["annotations"][key],
            _ => path.split('.').fold(self.pod, |value, key| &value[key]),
        };
        value.as_str().unwrap_or_default().to_owned()
    }
}

fn kind(resource: &str) -> &'static str {
    if resource == "secrets" {
        "Secret"
    } else {
        "ConfigMap"
    }
}

fn texts(object: &Value, encoded: bool) -> BTreeMap<String, String> {
    let entries = |field: &str| object[field].as_object().cloned().unwrap_or_default().into_iter();
    let decode = |text: &str| {
        if encoded {
            decode_base64(text)
        } else {
            text.to_owned()
        }
    };
    let data = entries("data").map(|(key, value)| (key, decode(value.as_str().unwrap_or_default())));
    let written =
        entries("stringData").map(|(key, value)| (key, value.as_str().unwrap_or_default().to_owned()));
    data.chain(written).collect()
}

/// The text behind RFC 4648's standard alphabet; what is not of that alphabet is passed over.
fn decode_base64(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0_u32, Vec::new());
    for byte in text.bytes() {
        let Some(value) = ALPHABET.iter().position(|letter| *letter == byte) else {
            continue;
        };
        bits = (bits << 6) | u32::try_from(value).unwrap_or_default();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(((bits >> count) & 0xff) as u8);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Puts variables in the place of `$(NAME)`; `$$` is one `$`, and a name nobody knows stays as it is.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        expanded.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
            continue;
        }
        let known = rest
            .strip_prefix('(')
            .and_then(|inner| inner.split_once(')'))
            .and_then(|(name, after)| Some((variables.get(name)?, after)));
        match known {
            Some((value, after)) => {
                expanded.push_str(value);
                rest = after;
            }
            None => expanded.push('$'),
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded_only_when_they_are_known() {
        let variables = BTreeMap::from([("NAME".to_owned(), "value".to_owned())]);

        assert_eq!(
            expand("a $(NAME) $(NONE) $$(NAME) $NAME $", &variables),
            "a value $(NONE) $(NAME) $NAME $"
        );
    }

    #[test]
    fn secrets_are_decoded() {
        assert_eq!(decode_base64("cGFzc3dvcmQ="), "password");
        assert_eq!(decode_base64("YWI="), "ab");
        assert_eq!(decode_base64(""), "");
    }
}
