use super::*;

const LEASE: Duration = Duration::from_secs(5);
const LINGER: Duration = Duration::from_millis(1_500);

struct World {
    table: Table,
    start: Instant,
    changed: Vec<UserId>,
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

impl World {
    fn new() -> Self {
        let config = TableConfig { lease: LEASE, linger: LINGER, max_users: 4, remembered: 3 };
        let mut world =
            Self { table: Table::new("me", config), start: Instant::now(), changed: Vec::new() };
        world.table.begin(world.start);
        world
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    /// A fresh sign of life.
    fn beat(&mut self, gateway: &str, millis: u64) {
        let now = self.at(millis);
        let server = i64::try_from(millis).unwrap();
        self.table.alive(gateway, Duration::ZERO, server, now, &mut self.changed);
    }

    fn join(&mut self, gateway: &str, name: &str) {
        let now = self.start;
        self.table.joined(gateway, &user(name), now, &mut self.changed);
    }

    fn leave(&mut self, gateway: &str, name: &str, millis: i64) {
        self.table.left(gateway, &user(name), Some(millis), &mut self.changed);
    }

    fn expire(&mut self, millis: u64) {
        let now = self.at(millis);
        self.table.expire(now, &mut self.changed);
    }

    #[track_caller]
    fn changed(&mut self, expected: &[&str]) {
        let mut changed: Vec<String> = self.changed.drain(..).map(|id| id.to_string()).collect();
        changed.sort_unstable();
        assert_eq!(changed, expected);
    }
}

#[test]
fn online_is_who_has_a_place_at_a_gateway_that_lives() {
    let mut world = World::new();
    world.join("one", "ann");
    world.changed(&[]);
    assert_eq!(world.table.presence("ann"), Shown::Offline(None));
    world.beat("one", 10);
    world.changed(&["ann"]);
    world.beat("two", 10);
    world.join("two", "ann");
    world.join("two", "bob");
    world.changed(&["bob"]);
    world.leave("one", "ann", 700);
    world.changed(&[]);
    assert_eq!(world.table.presence("ann"), Shown::Online);
    world.leave("two", "ann", 900);
    world.changed(&["ann"]);
    assert_eq!(world.table.presence("ann"), Shown::Offline(Some(900)));
    world.leave("two", "ann", 900);
    world.leave("three", "zoe", 900);
    world.changed(&[]);
    assert_eq!(world.table.size(), Size { users: 1, gateways: 2, refused: 0 });
}

#[test]
fn a_gateway_without_signs_of_life_is_dead_at_the_end_of_its_lease() {
    let mut world = World::new();
    world.expire(5_000);
    world.beat("me", 10);
    world.beat("one", 1_000);
    world.join("one", "ann");
    world.join("me", "bob");
    world.changed(&["ann", "bob"]);
    assert_eq!(world.table.next_expiry(), Some(world.at(6_000)));
    world.expire(5_999);
    world.changed(&[]);
    world.expire(6_000);
    world.changed(&["ann"]);
    assert_eq!(world.table.presence("ann"), Shown::Offline(Some(1_000)));
    // It was only paused: its entries are still in the bucket.
    world.beat("one", 9_000);
    world.changed(&["ann"]);
    // This gateway itself never is.
    world.expire(60_000);
    world.changed(&["ann"]);
    assert_eq!(world.table.presence("bob"), Shown::Online);
    world.expire(60_000 + 1_300_000);
    assert_eq!(world.table.size().users, 1, "what a dead gateway left is forgotten");
}

#[test]
fn what_an_old_sign_of_life_says_is_old() {
    let mut world = World::new();
    world.join("one", "ann");
    world.join("two", "bob");
    let now = world.at(0);
    let old = Duration::from_secs(60);
    world.table.alive("one", old, 1, now, &mut world.changed);
    world.table.alive("two", Duration::from_secs(4), 2, now, &mut world.changed);
    world.changed(&["bob"]);
    world.expire(1_000);
    world.changed(&["bob"]);
    // The same one again, after the tail was opened again, is not fresh.
    world.table.alive("two", Duration::ZERO, 2, now, &mut world.changed);
    world.changed(&[]);
}

#[test]
fn a_gateway_that_ends_gives_its_users_time_to_come_back_elsewhere() {
    let mut world = World::new();
    world.expire(5_000);
    for gateway in ["one", "two"] {
        world.beat(gateway, 10);
    }
    world.join("one", "ann");
    world.join("one", "bob");
    world.changed(&["ann", "bob"]);
    let now = world.at(100);
    world.table.ended("one", now);
    world.join("two", "ann");
    world.expire(1_599);
    world.changed(&[]);
    world.expire(1_600);
    world.changed(&["bob"]);
    assert_eq!(world.table.presence("ann"), Shown::Online);
}

#[test]
fn a_short_cut_shows_nobody_as_gone() {
    let mut world = World::new();
    world.beat("one", 10);
    world.beat("me", 10);
    world.join("one", "ann");
    world.join("one", "bob");
    world.join("me", "cid");
    world.changed(&["ann", "bob", "cid"]);
    assert!(world.table.has_here("cid") && !world.table.has_here("ann"));
    // For a minute nothing is heard; nobody calls `expire` meanwhile. The bucket was lost.
    let now = world.at(60_000);
    world.table.begin(now);
    world.expire(60_000);
    world.changed(&[]);
    assert!(!world.table.has_here("cid"), "it has to be told again");
    world.beat("one", 61_000);
    world.join("one", "ann");
    world.join("me", "cid");
    world.expire(64_999);
    world.changed(&[]);
    world.expire(65_000);
    world.changed(&["bob"]);
    assert_eq!(world.table.all_here().collect::<Vec<_>>(), [&user("cid")]);
}

#[test]
fn the_table_and_its_memory_are_bounded() {
    let mut world = World::new();
    world.beat("one", 10);
    for name in ["a", "b", "c", "d", "e"] {
        world.join("one", name);
    }
    assert_eq!(world.table.size(), Size { users: 4, gateways: 1, refused: 1 });
    for (name, at) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        world.leave("one", name, at);
    }
    assert!(!world.table.knows("a"));
    assert_eq!(world.table.presence("d"), Shown::Offline(Some(4)));
    world.table.remember(&user("d"), Some(2));
    assert_eq!(world.table.presence("d"), Shown::Offline(Some(4)), "never back");
    world.table.remember(&user("x"), None);
    assert!(world.table.knows("x"));
    assert_eq!(world.table.presence("x"), Shown::Offline(None));
}
