use super::*;

/// A row that begins `start_us` after a full second and lasts `us`.
fn row(trace: u8, start_us: u64, us: u64, name: &str, status: i64) -> Row {
    let start_ns = 1_790_000_000_000_000_000 + start_us * 1_000;
    Row {
        trace_id: [trace; 16],
        span_id: [trace; 8],
        parent: None,
        is_parent_remote: false,
        start_ns,
        end_ns: start_ns + us * 1_000,
        service: "shop".to_owned(),
        name: name.to_owned(),
        status: Some(status),
        error: (status >= 500).then(|| status.to_string()),
        target: "/users/42?verbose=1".to_owned(),
        client: Some("127.0.0.1".to_owned()),
    }
}

/// Draws without styles and without the time, which depends on the zone.
fn plain(rows: &mut [Row], width: usize) -> Vec<String> {
    let text = Layout::default().block(rows, width);
    let text = anstream::adapter::strip_str(&text).to_string();
    text.lines().skip(1).map(|line| line.chars().skip(TIME).collect()).collect()
}

#[test]
fn a_block() {
    let mut panicked = row(4, 5_000, 2_500, "GET /panic", 200);
    panicked.error = Some("panic".to_owned());
    panicked.status = None;
    let mut remote = row(2, 2_000, 3_000, "POST /orders", 500);
    (remote.parent, remote.is_parent_remote) = (Some([0xab; 8]), true);
    let mut inner =
        Row { span_id: [8; 8], start_ns: remote.start_ns + 1_000_000, ..row(2, 0, 9_000, "GET", 404) };
    inner.parent = Some(remote.span_id);
    let mut rows = [panicked, inner, row(1, 0, 840, "GET /users/{id}", 200), remote];
    let want = [
        "  service  span                 status  duration ├───────────── 9.00 ms ──────────────┤ target",
        "  shop     GET /users/{id}         200    840 µs │███▎                                │ /users/42?verbose=1  from 127.0.0.1",
        "           ◆ trace 02020202020202020202020202020202 continues remote span abababababababab",
        "  shop     └ POST /orders          500   3.00 ms │        ████████████                │ /users/42?verbose=1  from 127.0.0.1",
        "  shop       └ GET                 404   6.00 ms │            ████████████████████████│ /users/42?verbose=1  from 127.0.0.1",
        "  shop     GET /panic                -   2.50 ms │                    ██████████      │ /users/42?verbose=1  ✗ panic",
    ];
    let got = plain(&mut rows, 136);
    assert_eq!(got, want, "got:\n{}", got.join("\n"));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let mut long = row(1, 0, 10, &"n".repeat(300), 500);
    long.service = "s".repeat(300);
    long.target = "/t".repeat(300);
    long.error = Some("panic".to_owned());
    long.parent = Some([3; 8]);
    for width in [80, 90, 100, 120, 139, 140, 200, 400] {
        let mut rows = [long.clone(), row(2, 5, 1, "GET", 200)];
        let text = Layout::default().block(&mut rows, width);
        for line in anstream::adapter::strip_str(&text).to_string().lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
    for width in [0, 1, 20, 40] {
        assert_eq!(plain(&mut [long.clone()], width).len(), 3, "{width}");
    }
}

#[test]
fn bars_fill_their_cells_exactly() {
    let scale = Scale { start_ns: 0, window_ns: 1_000, cells: 10 };
    for (start_ns, end_ns, want) in [
        (0, 1_000, "██████████"),
        (0, 0, "▌         "),
        (999, 1_000, "         █"),
        (1_000, 1_000, "         █"),
        (500, 560, "     ▌    "),
        (0, u64::MAX, "██████████"),
    ] {
        let bar = scale.bar(&Row { start_ns, end_ns, ..row(1, 0, 0, "x", 200) });
        assert_eq!((bar.as_str(), bar.chars().count()), (want, 10), "{start_ns}..{end_ns}");
    }
}

#[test]
fn durations_keep_three_digits() {
    for (ns, want) in [
        (0, "0.00 µs"),
        (1_500, "1.50 µs"),
        (84_210, "84.2 µs"),
        (840_000, "840 µs"),
        (12_345_678, "12.3 ms"),
        (2_310_000_000, "2.31 s"),
        (3_600_000_000_000, "3600 s"),
    ] {
        assert_eq!(duration(ns), want);
    }
}
