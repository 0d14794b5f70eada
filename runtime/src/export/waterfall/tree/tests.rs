use super::*;

/// A row of this id and parent; the name is the id.
fn row(id: u8, parent: Option<u8>) -> Row {
    Row {
        trace_id: [1; 16],
        span_id: [id; 8],
        parent: parent.map(|id| [id; 8]),
        is_parent_remote: false,
        start_ns: u64::from(id),
        end_ns: 100,
        service: String::new(),
        name: id.to_string(),
        status: None,
        error: None,
        target: String::new(),
        client: None,
    }
}

/// The lines of these, as they would be drawn.
fn lines(rows: &[Row], widest: usize) -> Vec<String> {
    let places = places(rows, hangs(rows).is_some(), widest);
    places.iter().map(|place| format!("{}{}", place.branch, place.row.name)).collect()
}

#[test]
fn each_is_below_its_parent() {
    let rows =
        [row(1, None), row(2, Some(1)), row(3, Some(1)), row(4, Some(3)), row(5, Some(4)), row(6, Some(1))];
    assert_eq!(lines(&rows, 20), ["1", "├ 2", "├ 3", "│ └ 4", "│   └ 5", "└ 6"]);
}

#[test]
fn a_parent_may_begin_after_its_child() {
    assert_eq!(lines(&[row(1, Some(2)), row(2, None)], 20), ["2", "└ 1"]);
}

#[test]
fn what_hangs_on_another_span_has_a_branch() {
    let rows = [row(1, Some(9)), row(2, Some(1)), row(3, Some(9))];
    assert_eq!(hangs(&rows).map(|row| row.parent), Some(Some([9; 8])));
    assert_eq!(lines(&rows, 20), ["├ 1", "│ └ 2", "└ 3"]);
}

#[test]
fn a_deep_tree_keeps_its_last_levels() {
    let rows: Vec<Row> = (1..=6).map(|id| row(id, (id > 1).then(|| id - 1))).collect();
    assert_eq!(lines(&rows, 6), ["1", "└ 2", "  └ 3", "    └ 4", "    └ 5", "    └ 6"]);
    assert_eq!(lines(&rows, 0)[5], "└ 6");
}

#[test]
fn every_row_is_drawn_once_whatever_its_parents_are() {
    let rows = [row(1, Some(1)), row(2, Some(3)), row(3, Some(2)), row(4, Some(3)), row(4, None)];
    let mut names: Vec<String> =
        places(&rows, false, 20).iter().map(|place| place.row.name.clone()).collect();
    names.sort();
    assert_eq!(names, ["1", "2", "3", "4", "4"]);
}
