use super::*;

/// What net/http would say of a text: lengths from its own line, and so many entries in the map.
fn proof(text: &[u8], header_count: u32) -> Proof {
    let text = &text[text.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()..];
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = first.split(|byte| *byte == b' ').map(|word| u32::try_from(word.len()).expect("short"));
    Proof {
        method_len: words.next().unwrap_or(0),
        target_len: words.next().unwrap_or(0),
        header_count: Some(header_count),
        is_http10: first.ends_with(b"HTTP/1.0\r"),
    }
}

fn read(text: &[u8], header_count: u32) -> Request<'_> {
    parse(Text::whole(text), proof(text, header_count), &mut Vec::new()).expect("a request")
}

/// `method target | host | user agent`, with `?` where something is not known and `!` if unsure.
fn shown(request: &Request<'_>) -> String {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let known = |value: &Option<Cow<'_, [u8]>>| value.as_ref().map_or("?".to_owned(), |value| text(value));
    format!(
        "{} {} | {} | {}{}{}",
        text(request.method.bytes),
        text(request.target.bytes),
        known(&request.host),
        known(&request.user_agent),
        if request.asks_upgrade { " upgrade" } else { "" },
        if request.unsure { " !" } else { "" },
    )
}

/// Each line: what is sent, `len(r.Header)`, and host and user agent as a handler saw them under Go 1.26.8 (a server of
/// net/http that printed `r.Host`, `r.Header.Get("User-Agent")` and the map).
#[test]
fn reads_what_go_reads() {
    for (text, count, want) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, "GET / | a | ?"),
        ("GET / HTTP/1.1\nhost: a\nuser-agent:  x y \t\n\n", 1, "GET / | a | x y"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n  2\r\n\t3 \r\n \r\nUser-Agent: f\r\n  old\r\n\r\n",
            2,
            "GET / | a | f old",
        ),
        ("GET / HTTP/1.1\r\nHost: \r\n a\r\nUser-Agent: \r\n\ta\r\n\r\n", 1, "GET / | a | a"),
        ("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n \r\n\tc\r\n\r\n", 1, "GET / | a | b  c"),
        ("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n \r\n\r\n", 1, "GET / | a | b "),
        (
            "GET http://u:p@h.example:81/p?q HTTP/1.1\r\nHost: o\r\n\r\n",
            0,
            "GET http://u:p@h.example:81/p?q | h.example:81 | ?",
        ),
        (
            "GET HTTP://[fe80::1%25en0]:81/p HTTP/1.1\r\nHost: o\r\n\r\n",
            0,
            "GET HTTP://[fe80::1%25en0]:81/p | [fe80::1%en0]:81 | ?",
        ),
        ("GET http://caf%C3%A9/p HTTP/1.1\r\nHost: o\r\n\r\n", 0, "GET http://caf%C3%A9/p | café | ?"),
        ("GET http:///p HTTP/1.1\r\nHost: o\r\n\r\n", 0, "GET http:///p | o | ?"),
        ("GET http:p HTTP/1.1\r\nHost: o\r\n\r\n", 0, "GET http:p | o | ?"),
        ("GET http:/a//b HTTP/1.1\r\nHost: o\r\n\r\n", 0, "GET http:/a//b | o | ?"),
        ("GET http://h?x=/y HTTP/1.1\r\nHost: o\r\n\r\n", 0, "GET http://h?x=/y | h | ?"),
        ("GET http://@h/ HTTP/1.1\r\nHost: o\r\n\r\n", 0, "GET http://@h/ | h | ?"),
        ("GET ht+-.1://h/ HTTP/1.1\r\nHost: o\r\n\r\n", 0, "GET ht+-.1://h/ | h | ?"),
        ("GET //h/x HTTP/1.1\r\nHost: o\r\n\r\n", 0, "GET //h/x | o | ?"),
        ("GET /a?b=http://h/ HTTP/1.1\r\nHost: o\r\n\r\n", 0, "GET /a?b=http://h/ | o | ?"),
        ("CONNECT h:443 HTTP/1.1\r\nHost: o\r\n\r\n", 0, "CONNECT h:443 | h:443 | ?"),
        ("CONNECT /rpc HTTP/1.1\r\nHost: o\r\n\r\n", 0, "CONNECT /rpc | o | ?"),
        ("CONNECT  HTTP/1.1\r\nHost: o\r\n\r\n", 0, "CONNECT  | o | ?"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\nContent-Length: 5\r\n\r\n",
            0,
            "POST / | a | ?",
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nTrailer: T\r\nContent-Length: 0\r\n\r\n", 2, "POST / | a | ?"),
        (
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\nContent-Length: 0\r\n\r\n",
            2,
            "POST / | a | ?",
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nPragma: no-cache\r\n\r\n", 2, "GET / | a | ?"),
        ("GET / HTTP/1.1\r\nHost: a\r\nPragma: no-cache\r\nCache-Control: x\r\n\r\n", 2, "GET / | a | ?"),
        ("GET / HTTP/1.1\r\nHost: a\r\nPragma: x\r\nPragma: no-cache\r\n\r\n", 1, "GET / | a | ?"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\na: 2\r\nUser-Agent: one\r\nuser-AGENT: two\r\n\r\n",
            2,
            "GET / | a | one",
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 1, "GET / | a | ?"),
        ("GET / HTTP/1.0\r\n\r\n", 0, "GET / | ? | ?"),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, "GET / |  | ?"),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, "GET / | a | ?"),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, "GET / | a | ?"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
            2,
            "GET / | a | ? upgrade",
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUpgrade: websocket\r\n\r\n", 2, "GET / | a | ?"),
        ("GET / HTTP/1.1\r\nHost: a\r\nCookie: secret\r\nAuthorization: secret\r\n\r\n", 2, "GET / | a | ?"),
    ] {
        assert_eq!(shown(&read(text.as_bytes(), count)), want, "{text:?}");
    }
}

#[test]
fn what_is_not_proven_to_be_this_requests_is_not_used() {
    for (text, count) in [
        // The map says otherwise.
        ("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n\r\n", 2),
        ("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n\r\n", 0),
        // Another request, or a body, is in the buffer too.
        ("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n\r\nGET / HTTP/1.1\r\nHost: c\r\n\r\n", 1),
        ("POST / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n\r\nbody", 1),
        // No blank line.
        ("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n", 1),
        ("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b", 1),
        // Lines that net/http refuses.
        ("GET / HTTP/1.1\r\n Host: a\r\nUser-Agent: b\r\n\r\n", 1),
        ("GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\nUser-Agent: b\r\n\r\n", 1),
        ("GET / HTTP/1.1", 0),
    ] {
        assert_eq!(
            shown(&read(text.as_bytes(), count)),
            "GET / | ? | ? !".replace("GET", &text[..4].replace(' ', "")),
            "{text:?}"
        );
    }
    let text = b"GET http://h/ HTTP/1.1\r\nUser-Agent: b\r\n\r\n";
    assert_eq!(shown(&read(text, 7)), "GET http://h/ | h | ? !", "the request line proves the host");
    let uncounted = Proof { header_count: None, ..proof(text, 0) };
    assert!(parse(Text::whole(text), uncounted, &mut Vec::new()).expect("a request").unsure);
}

#[test]
fn a_line_that_contradicts_its_lengths_is_refused() {
    let text = b"GET /a/b HTTP/1.1\r\n\r\n";
    let right = proof(text, 0);
    for (method_len, target_len) in
        [(2, 4), (4, 4), (3, 3), (3, 5), (3, 13), (3, 4_000), (u32::MAX, u32::MAX), (0, 0)]
    {
        let wrong = Proof { method_len, target_len, ..right };
        let error = parse(Text::whole(text), wrong, &mut Vec::new()).expect_err("a contradiction");
        assert_eq!(error.reason(), "contradiction", "{method_len} {target_len}");
    }
}

#[test]
fn a_cut_text_gives_what_it_holds() {
    let text = b"GET http://h/p HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\nX: 1\r\n\r\n";
    let (proof, full_len) = (proof(text, 2), text.len() + 1);
    for (held, want) in [
        (text.len() - 2, "GET http://h/p | h | b !"),
        (text.len() - 8, "GET http://h/p | h | ? !"),
        (text.len() - 7, "GET http://h/p | h | b !"),
        (24, "GET http://h/p | h | ? !"),
        (14, "GET http://h/p | h | ? !"),
        (13, "GET http://h/ | h | ? !"),
        (12, "GET http://h | ? | ? !"),
        (4, "GET  | ? | ? !"),
        (2, "GE  | ? | ? !"),
    ] {
        let cut = Text { bytes: &text[..held], full_len };
        let request = parse(cut, proof, &mut Vec::new()).expect("a request");
        assert_eq!(shown(&request), want, "{held}");
    }
}

#[test]
fn names_are_told_apart_without_regard_to_case() {
    assert_eq!(folded(b"X-Forwarded-For"), folded(b"x-fORWARDED-fOR"));
    for (a, b) in
        [("A", "B"), ("X-Filler-10", "X-Filler-11"), ("Accept", "Accept-"), ("12345678a", "12345678b")]
    {
        assert_ne!(folded(a.as_bytes()), folded(b.as_bytes()));
    }
}

/// Numbers that look random and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound.max(1)
    }
}

/// Bytes changed, taken out, put in and cut at random, and lengths that lie: whatever comes, it ends, and what it gives lies
/// within the text or is joined from it.
#[test]
fn any_bytes_are_survived() {
    let seeds: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\n c\r\n\r\n",
        b"CONNECT h:443 HTTP/1.1\nhost: a\n\n",
        b"POST http://u@[::1%25a]:80/?q HTTP/1.0\r\nTransfer-Encoding: chunked\r\nPragma: no-cache\r\n\r\n",
        b"\r\n\r\nGET /x HTTP/1.1\r\nConnection: a, upgrade\r\nUpgrade: x\r\n\r\n",
    ];
    let alphabet = b"\r\n\t :,/?%@[]GETaH.\xff\x00";
    let (mut numbers, mut names) = (Numbers(13), Vec::new());
    for round in 0..200_000 {
        let mut text = seeds[round % seeds.len()].to_vec();
        let honest = proof(&text, u32::try_from(numbers.below(5)).expect("small"));
        for _ in 0..numbers.below(6) {
            let (at, byte) = (numbers.below(text.len()), alphabet[numbers.below(alphabet.len())]);
            match numbers.below(3) {
                0 => text.insert(at, byte),
                1 if text.len() > 1 => drop(text.remove(at)),
                _ => text[at] = byte,
            }
        }
        let lie = u32::try_from(numbers.below(40)).expect("small");
        let proof = if numbers.below(4) == 0 { Proof { target_len: lie, ..honest } } else { honest };
        let full_len = text.len() + numbers.below(2) * 100;
        if let Ok(request) = parse(Text { bytes: &text, full_len }, proof, &mut names) {
            assert!(request.method.bytes.len() + request.target.bytes.len() <= text.len());
            let joined = request.host.iter().chain(&request.user_agent);
            assert!(joined.map(|value| value.len()).sum::<usize>() <= text.len());
        }
    }
}

/// 64 KiB of the worst lines take no longer than their length allows: the bound is far above what is needed, and far below
/// what a time that grows with the square would take.
#[test]
fn the_time_is_linear() {
    let many = |line: &str| {
        [b"GET / HTTP/1.1\r\n".to_vec(), line.repeat(400_000 / line.len()).into_bytes(), b"\r\n".to_vec()]
            .concat()
    };
    for line in ["a:\n", " \n", "Host: a\n", "User-Agent: a\n b\n", "x:y\n \t\n", "\r\n", ":", " "] {
        let text = many(line);
        let begin = std::time::Instant::now();
        let _ = parse(Text::whole(&text), proof(&text, 1), &mut Vec::new());
        assert!(begin.elapsed().as_secs() < 5, "{line:?}: {:?}", begin.elapsed());
    }
}
