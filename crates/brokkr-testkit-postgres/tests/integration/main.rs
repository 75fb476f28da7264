//! A throwaway cluster really starts, and really goes away.

use std::net::TcpStream;

use brokkr_testkit_postgres::Cluster;

fn address(cluster: &Cluster) -> String {
    let (_, host) = cluster.url().split_once('@').expect("the URL names a host");
    host.trim_end_matches("/postgres").to_owned()
}

#[test]
fn a_cluster_answers_until_it_is_dropped() {
    let cluster = Cluster::start().expect("the cluster starts");
    let address = address(&cluster);
    assert!(
        TcpStream::connect(&address).is_ok(),
        "nothing listens on {address}"
    );

    drop(cluster);

    assert!(
        TcpStream::connect(&address).is_err(),
        "something still listens on {address}"
    );
}

#[test]
fn clusters_stand_beside_each_other() {
    let one = Cluster::start().expect("the first cluster starts");
    let two = Cluster::start().expect("the second cluster starts");
    assert_ne!(address(&one), address(&two));
}

#[test]
fn a_cluster_that_crashed_comes_back_at_the_same_address() {
    let cluster = Cluster::start().expect("the cluster starts");
    let address = address(&cluster);

    cluster.crash().expect("the server can be ended");
    assert!(
        TcpStream::connect(&address).is_err(),
        "it still listens on {address}"
    );

    cluster.start_again().expect("the server starts again");
    assert!(
        TcpStream::connect(&address).is_ok(),
        "nothing listens on {address}"
    );
}
