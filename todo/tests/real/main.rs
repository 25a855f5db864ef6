//! The server as it runs, against a database as it runs.
//!
//! The database is `mongod` from PATH, or else a stand-in that speaks its
//! protocol (`todo/scripts/mongo-program.sh`). Most tests share one, each with
//! a database name of its own; those that kill or freeze it start their own.
//! A word on the command line picks the tests whose names contain it.

mod client;
mod crud;
mod database;
mod drain;
mod limits;
mod outage;
mod server;

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use database::Database;

type Outcome = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A test: what it shows, and how.
struct Test {
    name: &'static str,
    run: fn(Arc<Database>) -> Outcome,
}

/// Names a test by the sentence that its function's name is.
macro_rules! tests {
    ($($module:ident :: $function:ident),* $(,)?) => {
        vec![$(Test {
            name: concat!(stringify!($module), "::", stringify!($function)),
            run: |database| Box::pin($module::$function(database)),
        }),*]
    };
}

fn all() -> Vec<Test> {
    tests![
        crud::a_todo_lives_through_a_restart_of_the_server,
        crud::pages_neither_skip_nor_repeat_while_others_add,
        crud::sixteen_writers_see_their_own_writes,
        crud::a_repeated_post_with_a_key_stores_one_todo,
        crud::operators_are_text,
        crud::the_originals_documents_are_served,
        crud::the_database_itself_refuses_what_is_no_todo,
        crud::a_failover_is_retried_and_nobody_sees_it,
        limits::a_wrong_option_is_one_sentence_and_exit_2,
        limits::help_names_every_option_and_its_variable,
        limits::heads_and_bodies_have_limits,
        limits::slow_clients_are_cut,
        limits::connections_past_the_cap_wait_for_their_turn,
        limits::forwarded_headers_count_from_trusted_networks_alone,
        limits::metrics_and_logs_tell_what_happened,
        drain::sigterm_under_load_fails_no_request,
        drain::a_request_in_flight_outlives_the_drain_and_new_ones_are_refused,
        drain::a_request_that_hangs_is_cut_at_the_limit,
        outage::nothing_acknowledged_is_lost_when_the_database_is_killed,
        outage::a_frozen_database_turns_readiness_red_until_it_thaws,
        outage::a_server_without_database_lives_and_becomes_ready_later,
        outage::the_database_url_is_never_told,
    ]
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let words = words(&arguments);
    let mut tests = all();
    tests.retain(|test| words.is_empty() || words.iter().any(|word| test.name.contains(word)));
    if tests.is_empty() {
        println!("0 passed, 0 failed");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run(tests))
}

/// The words among the arguments. Flags of the usual harness mean nothing
/// here, nor do the values of those that have one.
fn words(arguments: &[String]) -> Vec<&str> {
    let with_value = [
        "--test-threads",
        "--skip",
        "--format",
        "--color",
        "--logfile",
    ];
    let mut words = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if with_value.contains(&argument.as_str()) {
            arguments.next();
        } else if !argument.starts_with('-') {
            words.push(argument.as_str());
        }
    }
    words
}

async fn run(tests: Vec<Test>) -> ExitCode {
    let database = Arc::new(Database::start().await);
    println!("Database: {}", database.program().display());
    let (mut passed, mut failed) = (0, 0);
    for test in tests {
        let start = Instant::now();
        // A task of its own, so that a failed assertion ends only this test.
        let outcome = tokio::spawn((test.run)(database.clone()));
        let outcome = tokio::time::timeout(Duration::from_secs(180), outcome).await;
        let fine = matches!(outcome, Ok(Ok(())));
        let (word, count) = if fine {
            ("ok", &mut passed)
        } else {
            ("FAILED", &mut failed)
        };
        *count += 1;
        println!(
            "test {} ... {word} ({:.1} s)",
            test.name,
            start.elapsed().as_secs_f64()
        );
    }
    drop(database);
    println!("{passed} passed, {failed} failed");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
