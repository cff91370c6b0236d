import Cryptography
import Glibc
import StandardWebhooks
import TestSupport
import Testing

/// The guide's snippets for receivers, before requests that this package has signed.
@Suite struct VerificationTests {
    private static let page = GuidePage("receiving.md")

    private struct Request {
        var what: String
        var id = "event-123"
        var at = String(time(nil))
        var signature = ""
        var body = Array(#"{"id":"event-123","data":{"n":"é"}}"#.utf8)
        var secrets: [String] = []
        var isGenuine = false

        /// For the drivers of other languages.
        var line: String {
            [id, at, signature, Base64.standard.encode(body), secrets.joined(separator: ",")].joined(separator: "\t")
        }

        var verdict: String { isGenuine ? "genuine \(id)" : "refused" }
    }

    private static func requests() throws -> [Request] {
        let (old, new, other) = (WebhookSecret(), WebhookSecret(), WebhookSecret())
        let signer = try WebhookSigner()
        func signed(
            _ what: String, isGenuine: Bool, by secrets: [WebhookSecret], knows: [WebhookSecret], ahead: Int = 0,
            privateKeys: [WebhookPrivateKey] = [], body: [UInt8]? = nil
        ) throws -> Request {
            var request = Request(what: what, isGenuine: isGenuine)
            let seconds = Int64(time(nil) + ahead)
            request.at = "\(seconds)"
            request.secrets = knows.map(\.text)
            if let body { request.body = body }
            request.signature = try signer.sign(
                id: request.id, timestampSeconds: seconds, body: request.body,
                keys: WebhookSigningKeys(secrets: secrets, privateKeys: privateKeys))
            return request
        }
        let valid = try signed("valid", isGenuine: true, by: [new], knows: [new])
        func changed(_ what: String, _ change: (inout Request) -> Void) -> Request {
            var request = valid
            (request.what, request.isGenuine) = (what, false)
            change(&request)
            return request
        }
        return [
            valid,
            try signed("any bytes", isGenuine: true, by: [new], knows: [new], body: Array(0...255)),
            try signed("no body", isGenuine: true, by: [new], knows: [new], body: []),
            try signed("two signatures, the first known", isGenuine: true, by: [old, new], knows: [old]),
            try signed("two signatures, the second known", isGenuine: true, by: [old, new], knows: [new]),
            try signed("two secrets", isGenuine: true, by: [new], knows: [old, new]),
            try signed(
                "beside ed25519", isGenuine: true, by: [new], knows: [new], privateKeys: [WebhookPrivateKey()]),
            try signed("another's secret", isGenuine: false, by: [other], knows: [old, new]),
            try signed("too old", isGenuine: false, by: [new], knows: [new], ahead: -3_600),
            try signed("too new", isGenuine: false, by: [new], knows: [new], ahead: 3_600),
            try signed("just in time", isGenuine: true, by: [new], knows: [new], ahead: -240),
            changed("altered body") { $0.body[10] ^= 1 },
            changed("longer body") { $0.body.append(0x20) },
            changed("another id") { $0.id = "event-124" },
            changed("another time") { $0.at = "\(time(nil) - 1)" },
            changed("no id") { $0.id = "" },
            changed("no time") { $0.at = "" },
            changed("no number as time") { $0.at = "soon" },
            changed("no signature") { $0.signature = "" },
            changed("another scheme") { $0.signature = "v2," + $0.signature.dropFirst(3) },
            changed("half a signature") { $0.signature.removeLast(20) },
        ]
    }

    /// Gives the requests to a program line by line, and compares what it says.
    private func expectVerdicts(of executable: String, _ arguments: [String], environment: [String: String] = [:])
        async throws
    {
        let requests = try Self.requests()
        let child = try ChildProcess(executable, arguments, environment: environment)
        for request in requests { child.send(request.line) }
        child.closeInput()
        let status = try await child.exit(within: .seconds(120))
        try #require(status == 0, "\(executable) ended with \(status): \(child.errors)")
        let verdicts = child.output.split(separator: "\n").map(String.init)
        try #require(verdicts.count == requests.count, "\(child.output)")
        for (request, verdict) in zip(requests, verdicts) { #expect(verdict == request.verdict, "\(request.what)") }
    }

    @Test func swift() throws {
        let block = try Self.page.block(in: "swift")
        let file = contents(of: Python.checkout + "/Tests/GuideTests/SwiftSnippet.swift")
        #expect(block.text == file, "receiving.md and SwiftSnippet.swift are no longer the same")
        for request in try Self.requests() {
            let headers = [
                ("Webhook-Id", request.id), ("webhook-timestamp", request.at), ("webhook-signature", request.signature),
            ]
            let id = try? verify(secrets: request.secrets, headers: headers, body: request.body)
            #expect(id == (request.isGenuine ? request.id : nil), "\(request.what)")
        }
    }

    @Test func python() async throws {
        let driver = """
            import sys
            for line in sys.stdin:
                *values, body, secrets = line.rstrip("\\n").split("\\t")
                names = ["webhook-id", "webhook-timestamp", "webhook-signature"]
                headers = {name: value for name, value in zip(names, values) if value}
                try:
                    print("genuine", verify(secrets.split(","), headers, base64.b64decode(body)))
                except NotGenuine:
                    print("refused")
            """
        let snippet = try Self.page.block(in: "python", containing: "def verify(").text
        try await expectVerdicts(of: "python3", ["-c", snippet + driver])
    }

    @Test func aRepeatedMessageIsWorkedOnOnceAndAFailedOneAgain() async throws {
        let driver = """
            import sqlite3
            secret, message, at, signature, body = sys.argv[1:]
            headers = {"webhook-id": message, "webhook-timestamp": at, "webhook-signature": signature}
            database = sqlite3.connect(":memory:")
            database.executescript("CREATE TABLE seen (id TEXT PRIMARY KEY); CREATE TABLE done (body BLOB)")

            def work(database, body):
                database.execute("INSERT INTO done VALUES (?)", (body,))

            def fail(database, body):
                work(database, body)
                raise RuntimeError("out of order")

            def count():
                return database.execute("SELECT count(*) FROM done").fetchone()[0]

            try:
                receive(database, [secret], headers, body.encode(), fail)
            except RuntimeError:
                print("failed", count())
            for _ in range(2):
                print(receive(database, [secret], headers, body.encode(), work), count())
            print(receive(database, [secret], headers, body.encode() + b" ", work), count())
            """
        let valid = try #require(try Self.requests().first)
        let snippets = try ["def verify(", "def receive("].map {
            try Self.page.block(in: "python", containing: $0).text
        }
        let child = try ChildProcess(
            "python3",
            ["-c", "import sys\n" + snippets.joined() + driver] + [
                valid.secrets[0], valid.id, valid.at, valid.signature, String(decoding: valid.body, as: UTF8.self),
            ])
        #expect(try await child.exit() == 0, "\(child.errors)")
        #expect(child.output == "failed 0\n204 1\n204 1\n401 1\n")
    }

    @Test(.enabled("needs Node (Debian's nodejs)") { await Tool.isThere("node") }) func node() async throws {
        let directory = try temporaryDirectory("node")
        defer { removeDirectory(directory) }
        try write(try Self.page.block(in: "javascript").text, to: directory + "/verify.mjs")
        try write(
            """
            import { verify } from "./verify.mjs";
            import { createInterface } from "node:readline";
            for await (const line of createInterface({ input: process.stdin })) {
              const [id, at, signature, body, secrets] = line.split("\\t");
              const headers = {};
              if (id) headers["webhook-id"] = id;
              if (at) headers["webhook-timestamp"] = at;
              if (signature) headers["webhook-signature"] = signature;
              try {
                console.log("genuine", verify(secrets.split(","), headers, Buffer.from(body, "base64")));
              } catch {
                console.log("refused");
              }
            }
            """, to: directory + "/driver.mjs")
        try await expectVerdicts(of: "node", [directory + "/driver.mjs"])
    }

    @Test(.enabled("needs Go (Debian's golang-go)") { await Tool.isThere("go") }) func go() async throws {
        let directory = try temporaryDirectory("go")
        defer { removeDirectory(directory) }
        try write(try Self.page.block(in: "go").text, to: directory + "/verify.go")
        try write(
            """
            package main

            import (
            	"bufio"
            	"encoding/base64"
            	"fmt"
            	"net/http"
            	"os"
            	"strings"
            )

            func main() {
            	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
            		fields := strings.Split(lines.Text(), "\\t")
            		header := http.Header{}
            		for index, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
            			if fields[index] != "" {
            				header.Set(name, fields[index])
            			}
            		}
            		body, _ := base64.StdEncoding.DecodeString(fields[3])
            		if id, err := Verify(strings.Split(fields[4], ","), header, body); err == nil {
            			fmt.Println("genuine", id)
            		} else {
            			fmt.Println("refused")
            		}
            	}
            }
            """, to: directory + "/main.go")
        let environment = ["GOCACHE": directory + "/cache", "GO111MODULE": "off", "GOPROXY": "off"]
        let build = try ChildProcess(
            "go", ["build", "-o", directory + "/receiver", directory + "/verify.go", directory + "/main.go"],
            environment: environment)
        try #require(try await build.exit(within: .seconds(180)) == 0, "\(build.errors)")
        try await expectVerdicts(of: directory + "/receiver", [])
    }
}
