import Testing

@testable import Validation

@Suite struct EndpointURLTests {
    private let strict = EndpointURL(allowsLoopback: false, allowedPorts: [8443, 8080])
    private let lax = EndpointURL(allowsLoopback: true)

    @Test(arguments: [
        "https://your-app.com/webhook", "http://example.org", "HTTPS://EXAMPLE.ORG/",
        "https://a.b.c.example:8443/x?y=z&a=%20",
        "https://example.org?x=1", "https://xn--bcher-kva.example/", "https://hooks_internal.svc/", "https://10.1.2.3/",
        "https://[2001:db8::1]:8080/", "https://[2001:db8:0:0:0:0:0:1]/", "https://[::ffff:1.2.3.4]/",
        "https://example.org/;p=1/(a)/*!'@:$,~", "https://1a.example/", "https://0x.example/",
    ])
    func areEndpoints(url: String) {
        #expect(strict.problem(with: url) == nil)
    }

    @Test(arguments: [
        ("", "empty"), ("example.org", "begin"), ("ftp://example.org/", "begin"), ("https:/example.org", "begin"),
        ("javascript:alert(1)", "begin"), ("//example.org", "begin"), ("https//x", "begin"), ("http", "begin"),
        ("https://", "no host"), ("https:///x", "no host"), ("https://:80/", "no host"), ("https://?x", "no host"),
        ("https://user@example.org/", "user name"), ("https://user:pw@example.org/", "user name"),
        ("https://example.org@evil.example/", "user name"), ("https://example.org#@evil.example/", "fragment"),
        ("https://example.org\\@evil.example/", "user name"), ("https://example.org\\evil.example/", "backslash"),
        ("https://example.org/#top", "fragment"), ("https://example.org/?a#b", "fragment"),
        ("https://example.org:/", "port"), ("https://example.org:0/", "port"), ("https://example.org:65536/", "port"),
        ("https://example.org:80x/", "port"), ("https://example.org:080000/", "port"), ("https://a:80:90/", "port"),
        ("https://[::1/", "without"), ("https://[]/", "IPv6"), ("https://[:::]/", "IPv6"),
        ("https://[1::2::3]/", "IPv6"),
        ("https://[1:2:3:4:5:6:7]/", "IPv6"), ("https://[1:2:3:4:5:6:7:8::]/", "IPv6"),
        ("https://[fe80::1%25eth0]/", "IPv6"),
        ("https://[::12345]/", "IPv6"), ("https://[::1.2.3]/", "IPv6"), ("https://[::1]x/", "port"),
        ("https://[g::]/", "IPv6"),
        ("https://exa mple.org/", "printable ASCII"), ("https://example.org/\u{0}", "printable ASCII"),
        ("https://example.org/\r\nX: y", "printable ASCII"), ("https://bücher.example/", "printable ASCII"),
        ("https://example.org/ä", "printable ASCII"), ("\u{feff}https://example.org/", "printable ASCII"),
        ("https://exam%70le.org/", "no name"), ("https://-a.example/", "no name"), ("https://a-.example/", "no name"),
        ("https://a..example/", "no name"), ("https://.example/", "no name"), ("https://example.org./", "no name"),
        ("https://a*b.example/", "no name"), ("https://a,b/", "no name"),
        ("https://example.org/%", "hexadecimal"), ("https://example.org/%2", "hexadecimal"),
        ("https://example.org/%zz", "hexadecimal"),
        ("https://example.org/<x>", "percent-encoded"), ("https://example.org/\"", "percent-encoded"),
        ("https://example.org/?a={b}", "percent-encoded"), ("https://example.org/a\\b", "percent-encoded"),
        // One text, several machines, depending on who reads it.
        ("https://2130706433/", "IPv4"), ("https://0x7f000001/", "IPv4"), ("https://0x7f.1/", "IPv4"),
        ("https://127.1/", "IPv4"),
        ("https://0177.0.0.1/", "IPv4"), ("https://017700000001/", "IPv4"), ("https://1.2.3.256/", "IPv4"),
        ("https://1.2.3.4.5/", "IPv4"),
        ("https://example.0x/", "IPv4"), ("https://1.2.3.04/", "IPv4"),
    ])
    func areNone(url: String, because: String) throws {
        let problem = try #require(strict.problem(with: url))
        #expect(problem.contains(because))
        #expect(lax.problem(with: url) != nil)
    }

    @Test(arguments: [
        "http://localhost/", "http://LocalHost:8080/", "http://x.localhost/", "http://127.0.0.1:9000/hook",
        "http://127.255.0.1/",
        "http://0.0.0.0/", "http://[::1]/", "http://[::]/", "http://[0:0:0:0:0:0:0:1]/", "http://[::ffff:127.0.0.1]/",
        "http://[::127.0.0.1]/", "http://[::ffff:7f00:1]/",
    ])
    func ownMachineIsForDevelopment(url: String) {
        #expect(strict.problem(with: url)?.contains("this machine") == true)
        #expect(lax.problem(with: url) == nil)
    }

    @Test func portsAreListed() {
        for port in ["", ":80", ":443", ":8443"] { #expect(strict.problem(with: "https://example.org\(port)/") == nil) }
        for port in [":22", ":25", ":8444", ":65535"] {
            #expect(strict.problem(with: "https://example.org\(port)/")?.contains("allowed_ports") == true)
        }
        #expect(lax.problem(with: "https://example.org:8443/") != nil)
        #expect(lax.problem(with: "http://127.0.0.1:22/") == nil)
    }

    @Test func lengthIsCountedInBytes() {
        let base = "https://example.org/"
        #expect(strict.problem(with: base + String(repeating: "a", count: 2048 - base.utf8.count)) == nil)
        #expect(strict.problem(with: base + String(repeating: "a", count: 2049 - base.utf8.count)) != nil)
        let label = String(repeating: "a", count: 63)
        #expect(strict.problem(with: "https://\(label).example/") == nil)
        #expect(strict.problem(with: "https://\(label)a.example/") != nil)
        let name = Array(repeating: label, count: 4).joined(separator: ".")
        #expect(strict.problem(with: "https://\(name)/") != nil)
    }
}
