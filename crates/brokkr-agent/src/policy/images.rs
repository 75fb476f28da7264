//! Which images run.

use std::borrow::Cow;
use std::fmt;

use super::pattern::matches;

/// Where images come from that name no registry (the rule of `distribution/reference`, which container runtimes follow).
const DEFAULT_REGISTRY: &str = "docker.io";
/// What the default registry puts before names of one part.
const DEFAULT_REPOSITORY: &str = "library";

/// An image, or several of them. `*` stands for characters within one part of the path, at the end of the repository also for
/// further parts. Without a tag or a digest all of them are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImagePattern {
    text: String,
    image: Option<Image>,
}

impl ImagePattern {
    pub(super) fn new(text: &str) -> Self {
        let image = (text != "*").then(|| Image::read(text));
        Self {
            text: text.to_owned(),
            image,
        }
    }

    pub(super) fn matches(&self, image: &str) -> bool {
        let Some(pattern) = &self.image else {
            return !image.is_empty();
        };
        let image = Image::read(image);
        pattern.matches_repository(&image) && pattern.matches_version(&image)
    }
}

impl fmt::Display for ImagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A reference to an image, in full.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Image {
    /// Registry and path.
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Image {
    fn read(text: &str) -> Self {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (text, None),
        };
        // Before the last slash a colon stands before the port of the registry.
        let path_begins = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match rest[path_begins..].split_once(':') {
            Some((name, tag)) => (&rest[..path_begins + name.len()], Some(tag.to_owned())),
            None => (rest, None),
        };
        Self {
            repository: full_repository(repository).into_owned(),
            tag,
            digest,
        }
    }

    fn matches_repository(&self, image: &Self) -> bool {
        let within_part = |c| c != '/';
        let pattern = &self.repository;
        match pattern.strip_suffix('*') {
            // Everything below: the beginning has to fit some beginning of the repository.
            Some(beginning) => {
                let ends = image.repository.char_indices().map(|(end, _)| end);
                ends.chain([image.repository.len()])
                    .any(|end| matches(beginning, &image.repository[..end], within_part))
            }
            None => matches(pattern, &image.repository, within_part),
        }
    }

    /// A digest decides alone which image it is, whatever tag stands beside it.
    fn matches_version(&self, image: &Self) -> bool {
        let fits = |pattern: &str, version: Option<&str>| {
            version.is_some_and(|version| matches(pattern, version, |_| true))
        };
        match (&self.tag, &self.digest) {
            (None, None) => true,
            (_, Some(digest)) => fits(digest, image.digest.as_deref()),
            (Some(tag), None) => {
                image.digest.is_none() && fits(tag, Some(image.tag.as_deref().unwrap_or("latest")))
            }
        }
    }
}

fn full_repository(repository: &str) -> Cow<'_, str> {
    let registry = repository.split_once('/').filter(|(first, _)| {
        first.contains(['.', ':', '*']) || *first == "localhost" || first.chars().any(char::is_uppercase)
    });
    match registry {
        Some(("index.docker.io", path)) => full_repository(path),
        Some((DEFAULT_REGISTRY, path)) if !path.contains('/') => {
            format!("{DEFAULT_REGISTRY}/{DEFAULT_REPOSITORY}/{path}").into()
        }
        Some(_) => repository.into(),
        None if repository.contains('/') => format!("{DEFAULT_REGISTRY}/{repository}").into(),
        None => format!("{DEFAULT_REGISTRY}/{DEFAULT_REPOSITORY}/{repository}").into(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::all("*", "anything:1", true)]
    #[case::all_but_none("*", "", false)]
    #[case::short_name("busybox", "busybox", true)]
    #[case::any_tag("busybox", "busybox:1.36", true)]
    #[case::any_digest("busybox", "busybox@sha256:00ff", true)]
    #[case::full_name("busybox", "docker.io/library/busybox:1", true)]
    #[case::older_registry_name("busybox", "index.docker.io/library/busybox:1", true)]
    #[case::full_pattern("docker.io/library/*", "busybox", true)]
    #[case::other_user("docker.io/library/*", "somebody/busybox", false)]
    #[case::two_parts("docker.io/busybox", "busybox", true)]
    #[case::other_name("busybox", "busybox-extra", false)]
    #[case::other_registry("busybox", "registry.example.com/library/busybox", false)]
    #[case::registry("registry.example.com/*", "registry.example.com/app:1", true)]
    #[case::nested("registry.example.com/*", "registry.example.com/team/app:1", true)]
    #[case::longer_registry("registry.example.com/*", "registry.example.com.evil.io/app", false)]
    #[case::registry_in_path("registry.example.com/*", "evil.io/registry.example.com/app", false)]
    #[case::port("registry.example.com:5000/app", "registry.example.com:5000/app:1", true)]
    #[case::other_port("registry.example.com:5000/app", "registry.example.com/app:1", false)]
    #[case::registries("*.example.com/*", "eu.example.com/app", true)]
    #[case::no_such_registry("*.example.com/*", "evil.io/x.example.com/app", false)]
    #[case::within_a_part("registry.example.com/*/base", "registry.example.com/team/base:2", true)]
    #[case::not_across_parts("registry.example.com/*/base", "registry.example.com/a/b/base:2", false)]
    #[case::not_only_the_end("registry.example.com/*-a/*", "registry.example.com/x/y-a/z", false)]
    #[case::tag("app:1.*", "app:1.36", true)]
    #[case::other_tag("app:1.*", "app:2.0", false)]
    #[case::no_tag_is_latest("app:latest", "app", true)]
    #[case::no_tag_is_not_any("app:1", "app", false)]
    #[case::a_digest_hides_the_tag("app:1.*", "app:1.36@sha256:00ff", false)]
    #[case::digest("app@sha256:00ff", "app:1@sha256:00ff", true)]
    #[case::needs_a_digest("app@sha256:*", "app:1", false)]
    #[case::localhost("localhost/app", "docker.io/localhost/app", false)]
    fn a_pattern_means_the_image_however_it_is_written(
        #[case] pattern: &str,
        #[case] image: &str,
        #[case] fits: bool,
    ) {
        assert_eq!(ImagePattern::new(pattern).matches(image), fits);
    }
}
