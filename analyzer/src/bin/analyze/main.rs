fn main() {
    let options = analyzer::Options::default();
    for f in std::env::args().skip(1).filter(|a| a != "--json") {
        match analyzer::plan_file(std::path::Path::new(&f), &options) {
            Ok(p) => println!("{}", serde_json::to_string(&p).unwrap_or_default()),
            Err(e) => println!("{e}"),
        }
    }
}
