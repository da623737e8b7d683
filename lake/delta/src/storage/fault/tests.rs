//! What stores and systems say of faults that stay, in their own words.

#![allow(clippy::unwrap_used)]

use super::*;

fn answered(status: u16, is_conditional: bool, body: &str) -> Option<String> {
    let refusal = Refusal { status, is_conditional, region: None, body };
    of_response(&refusal).map(|fault| fault.to_string())
}

fn error_body(code: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>in words</Message></Error>")
}

#[test]
fn an_answer_that_will_be_the_same_each_time_names_the_setting() {
    for (status, is_conditional, code, setting) in [
        (501, true, "NotImplemented", "conditional puts"),
        (400, true, "InvalidArgument", "conditional puts"),
        (405, true, "MethodNotAllowed", "conditional puts"),
        (501, false, "NotImplemented", "lake.storage.endpoint"),
        (404, false, "NoSuchBucket", "lake.uri"),
        (301, false, "PermanentRedirect", "lake.storage.region"),
        (400, false, "ExpiredToken", "session_token"),
        (403, false, "InvalidAccessKeyId", "lake.storage.access_key_id"),
        (403, false, "SignatureDoesNotMatch", "lake.storage.secret_access_key"),
        (403, true, "RequestTimeTooSkewed", "clock"),
    ] {
        let message = answered(status, is_conditional, &error_body(code)).unwrap();
        assert!(message.contains(setting), "{message}");
        assert!(message.contains("in words"), "{message}");
    }
}

#[test]
fn the_region_of_the_bucket_is_proposed() {
    let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>";
    assert!(answered(400, true, body).unwrap().contains("lake.storage.region = \"eu-west-1\""));
    let refusal =
        Refusal { status: 301, is_conditional: false, region: Some("eu-west-2"), body: "" };
    assert!(of_response(&refusal).unwrap().remedy.contains("\"eu-west-2\""));
}

#[test]
fn an_answer_that_may_be_another_one_next_time_is_no_lasting_fault() {
    for (status, is_conditional, code) in [
        (500, true, "InternalError"),
        (503, false, "SlowDown"),
        (400, true, "RequestTimeout"),
        (404, false, "NoSuchKey"),
        (412, true, "PreconditionFailed"),
        (409, true, "ConditionalRequestConflict"),
    ] {
        assert_eq!(answered(status, is_conditional, &error_body(code)), None, "{code}");
    }
}

/// The error of a local folder in which putting an object ends with `errno`, as the library has it.
fn local(action: &str, errno: i32) -> StoreError {
    #[derive(Debug, thiserror::Error)]
    #[error("{0}: {1}")]
    struct Local(String, #[source] io::Error);
    let source = Local(action.to_owned(), io::Error::from_raw_os_error(errno));
    StoreError::Generic { store: "LocalFileSystem", source: Box::new(source) }
}

#[test]
fn a_file_system_without_hard_links_is_named_whatever_it_answers() {
    for errno in [libc::ENOSYS, libc::EPERM, libc::EOPNOTSUPP, libc::EMLINK] {
        let fault = lasting_fault(&local("Unable to rename file", errno)).unwrap();
        assert_eq!((fault.what, fault.remedy.as_str()), (NO_HARD_LINKS, USE_ANOTHER));
    }
}

#[test]
fn what_this_user_may_not_do_in_a_folder_names_the_folder() {
    for errno in [libc::EACCES, libc::EROFS, libc::EPERM] {
        let fault = lasting_fault(&local("Unable to create file", errno)).unwrap();
        assert!(fault.to_string().contains("lake.uri"), "{fault}");
    }
}

#[test]
fn a_full_or_failing_disk_may_be_well_again() {
    for errno in [libc::ENOSPC, libc::EIO, libc::EINTR, libc::EDQUOT] {
        assert_eq!(lasting_fault(&local("Unable to rename file", errno)), None);
    }
}

#[test]
fn long_words_of_a_store_are_cut() {
    let message = answered(501, true, &"x".repeat(100_000)).unwrap();
    assert!(message.len() < 1000);
}
