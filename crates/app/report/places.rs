//! Hints about places: on the network, and on this disk.

use super::{Words, shell_word};
use std::io::ErrorKind;
use std::path::Path;
use voxtile::error::RemoteProblem;

/// What helps against a store on the network.
pub(super) fn remote_hint(url: &str, problem: &RemoteProblem) -> Option<String> {
    let variables = match url.split_once("://").map_or("", |(scheme, _)| scheme) {
        "s3" => "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
        "gs" => "GOOGLE_APPLICATION_CREDENTIALS, the path of a key file,",
        "az" => "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
        _ => return web_hint(problem),
    };
    Some(match problem {
        RemoteProblem::Denied { .. } | RemoteProblem::NoCredentials => {
            format!("set {variables} in the environment; `--anonymous` reads public data without")
        }
        RemoteProblem::Missing => {
            "check the bucket and the path, capital letters too; `--endpoint` names another server".to_owned()
        }
        RemoteProblem::TimedOut { .. } | RemoteProblem::Unreachable { .. } => {
            "check the network; `--endpoint` names the server where it is not the provider's own".to_owned()
        }
        RemoteProblem::Status { status: 300..=399, .. } => {
            format!("the bucket lies in another region: set {variables} in the environment")
        }
        RemoteProblem::Broken { .. } | RemoteProblem::Status { status: 500..=599 | 429, .. } => {
            "the server has trouble, or too many ask it: try again later".to_owned()
        }
        _ => return None,
    })
}

/// What helps against a web server.
fn web_hint(problem: &RemoteProblem) -> Option<String> {
    Some(
        match problem {
            RemoteProblem::Denied { .. } | RemoteProblem::NoCredentials => {
                "it wants a login, which voxtile does not do: download it with a browser first"
            }
            RemoteProblem::Missing => "check the address, capital letters too",
            RemoteProblem::TimedOut { .. } | RemoteProblem::Unreachable { .. } => {
                "check the network and the name of the server"
            }
            RemoteProblem::Broken { .. } | RemoteProblem::Status { status: 500..=599 | 429, .. } => {
                "the server has trouble, or too many ask it: try again later"
            }
            RemoteProblem::NoParts => "download the file first",
            RemoteProblem::NoLists => "`--array PATH` names the array",
            _ => return None,
        }
        .to_owned(),
    )
}

/// Where a path that is missing may be instead.
pub(super) fn elsewhere(path: &Path) -> String {
    similar(path).map_or_else(
        || format!("`ls {}` shows what is there", existing_dir(path)),
        |name| format!("there is `{name}`"),
    )
}

/// The innermost directory of a path that exists.
pub(super) fn existing_dir(path: &Path) -> String {
    let dir = path.ancestors().find(|p| p.is_dir());
    shell_word(dir.unwrap_or(Path::new(".")))
}

/// What helps against the operating system's word.
pub(super) fn os_hint(path: &Path, kind: ErrorKind, words: &Words<'_>) -> Option<String> {
    Some(match kind {
        ErrorKind::PermissionDenied if path.is_file() => {
            format!("`ls -l {}` shows who may use it", shell_word(path))
        }
        ErrorKind::PermissionDenied => format!("`ls -ld {}` shows who may use it", existing_dir(path)),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            format!("`df -h {}` shows the space that is left{}", existing_dir(path), words.kept())
        }
        ErrorKind::NotFound => {
            let parent = path.parent().filter(|p| !p.exists() && !p.as_os_str().is_empty())?;
            format!("make the directory first: `mkdir -p {}`", shell_word(parent))
        }
        ErrorKind::NotADirectory => "a part of the path is a file, not a directory".to_owned(),
        _ => return None,
    })
}

/// The entry of the directory whose name is most like the one that is missing.
fn similar(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.to_lowercase();
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let near = |other: &String| {
        let lower = other.to_lowercase();
        let distance = strsim::damerau_levenshtein(&name, &lower);
        (distance <= name.chars().count().div_ceil(4).max(1)).then_some(distance)
    };
    std::fs::read_dir(dir)
        .ok()?
        .flatten()
        .take(10_000)
        .filter_map(|e| e.file_name().into_string().ok())
        .filter_map(|n| near(&n).map(|d| (d, n)))
        .min()
        .map(|(_, n)| shell_word(&path.with_file_name(n)))
}
