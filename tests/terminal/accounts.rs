//! A name that is the user's own: the client keeps its token, and logs in with it by itself.

use std::fs;
use std::rc::Rc;

use crate::common::{Client, Scratch};
use crate::fake_server::unique_address;
use crate::model::wrapping;
use crate::rig::{Rig, Setup, start_server};

fn leave(rig: &mut Rig) {
    rig.keys("/quit\r");
    assert!(rig.until_exited().success());
    assert!(rig.is_restored());
}

#[test]
fn a_registered_name_is_taken_again_by_itself_also_after_a_reconnection() {
    let home = Rc::new(Scratch::new());
    let state = home.path("state");
    let state = state.to_str().expect("UTF-8").to_owned();
    let start = |addr: &str| start_server(&["--listen", addr, "--state", &state]);
    let server = start(&unique_address());
    let addr = server.addr().to_string();
    let join = |flags: &[&str]| {
        let setup = Setup::at(&addr).home(&home).flags(flags);
        setup.spawn(wrapping(90, 24))
    };
    let mut rig = join(&["--nick", "kim"]);
    rig.until_shown("* you are now kim");
    rig.keys("/register\r");
    let file = home.path("madang/tokens").join(&addr).join("kim");
    rig.until("a token in a file", |_| file.exists());
    let kept = fs::read_to_string(&file).expect("a token");
    let token = kept.trim_end().strip_prefix("kim ").expect("its name");
    leave(&mut rig);

    // Without a name on the command line it is the one that was used last.
    let mut rig = join(&[]);
    rig.until_shown("* you are now kim");
    let mut lee = Client::connect_named(server.addr(), "lee");
    lee.say("/nick kim");
    lee.find("! name not changed: kim is registered; /login kim TOKEN takes it if it is yours");
    drop(lee);
    drop(server);
    rig.until_shown("-- connection lost: ");
    let server = start(&addr);
    rig.until_shown("-- connected again");
    let mut lee = Client::connect_named(server.addr(), "lee");
    rig.until_shown("* joined: lee (2 here)");
    rig.keys("it is me\r");
    rig.until_shown("kim: it is me");
    lee.find("kim: it is me");
    // The token that opens the name is neither shown nor among the lines that can be recalled.
    let shown = String::from_utf8_lossy(rig.written()).into_owned();
    assert!(
        !shown.contains(token) && !shown.contains("/login kim "),
        "{shown}"
    );
    leave(&mut rig);
    let history = fs::read_to_string(home.path("madang/history")).expect("a history");
    assert!(
        !history.contains(token) && !history.contains("/login"),
        "{history}"
    );

    // Another name is asked for: it is not logged in.
    let mut rig = join(&["--nick", "ann"]);
    rig.until_shown("* you are now ann");
    leave(&mut rig);
}

#[test]
fn a_token_that_is_wrong_by_now_leaves_the_user_a_guest_who_is_told_so() {
    let home = Rc::new(Scratch::new());
    let state = home.path("state");
    let server = start_server(&[
        "--listen",
        "127.0.0.1:0",
        "--state",
        state.to_str().expect("UTF-8"),
    ]);
    let addr = server.addr().to_string();
    let mut owner = Client::connect_named(server.addr(), "kim");
    owner.say("/register");
    owner.expect_start("* registered: ");
    let folder = home.path("madang/tokens").join(&addr);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("kim"), "kim abcdefghijkmnpqrstuvwxyzab\n").expect("a file");
    let mut rig = Setup::at(&addr).home(&home).spawn(wrapping(90, 24));
    rig.until_shown("! name not changed: kim is not registered with that token or certificate");
    rig.keys("/who\r");
    rig.until_shown("* here in lobby: guest2, kim (2)");
    leave(&mut rig);
}
