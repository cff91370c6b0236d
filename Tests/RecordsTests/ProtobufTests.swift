import Cryptography
import Glibc
import JSONScanning
import Records
import TestSupport
import Testing
import WireFormat

/// The messages of `proto/martlet/v1/records.proto`, beside Google's implementation: what it encodes from the same values must be
/// read here, and what is encoded here must be read there.
@Suite(.timeLimit(.minutes(3)), .enabled("needs packages from PyPI") { await Python.isAvailable() })
struct ProtobufTests {
    /// Reads lines of message, our bytes, and the values in Protobuf's JSON; compares, and prints its own bytes.
    private static let script = """
        import sys, tempfile
        from google.protobuf import json_format
        from grpc_tools import protoc
        out = tempfile.mkdtemp()
        words = ["protoc", "-I" + sys.argv[1], "--python_out=" + out, "martlet/v1/records.proto"]
        assert protoc.main(words) == 0
        sys.path.insert(0, out)
        from martlet.v1 import records_pb2
        for number, line in enumerate(open(sys.argv[2], encoding="utf-8", newline="\\n")):
            name, ours, values = line.rstrip("\\n").split("\\t")
            message = getattr(records_pb2, name)
            theirs = json_format.Parse(values, message())
            found = message.FromString(bytes.fromhex(ours))
            assert found == theirs, f"line {number}: {found} is not {theirs}"
            print(theirs.SerializeToString(deterministic=True).hex())
        """

    private static let count = 200

    @Test func bothImplementationsAgree() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("Protobuf comparison, seed \(seed)")
        var random = SplitMix64(seed: seed)
        let outcomes = (0..<Self.count).map { _ in Outcome.random(&random) }
        let webhooks = (0..<Self.count).map { _ in Webhook.random(&random) }
        let signals = (0..<Self.count).map { _ in Signal.random(&random) }
        let lines =
            outcomes.map { Self.line("Outcome", $0, $0.protobufJSON) }
            + webhooks.map { Self.line("Webhook", $0, $0.protobufJSON) }
            + signals.map { Self.line("Signal", $0, $0.protobufJSON) }
        let directory = try temporaryDirectory("protobuf")
        defer { removeDirectory(directory) }
        let path = directory + "/messages"
        let file = try #require(fopen(path, "w"))
        fputs(lines.joined(), file)
        fclose(file)
        let output = try await Python.run(Self.script, [Python.checkout + "/proto", path])
        let theirs = output.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(bytes(hex:))
        try #require(theirs.count == 3 * Self.count)
        for index in 0..<Self.count {
            #expect(try Outcome(decoding: theirs[index]) == outcomes[index], "seed \(seed)")
            #expect(try Webhook(decoding: theirs[Self.count + index]) == webhooks[index], "seed \(seed)")
            #expect(try Signal(decoding: theirs[2 * Self.count + index]) == signals[index], "seed \(seed)")
        }
        // Both write fields in order of their numbers and leave defaults out.
        let ours = outcomes.map { $0.encoded() } + webhooks.map { $0.encoded() } + signals.map { $0.encoded() }
        #expect(ours == theirs, "seed \(seed)")
    }

    private static func line(_ name: String, _ message: some WireMessage, _ json: String) -> String {
        "\(name)\t\(hex(message.encoded()))\t\(json)\n"
    }
}

// MARK: Values in Protobuf's JSON, by the names in the .proto file

extension Outcome {
    fileprivate var protobufJSON: String {
        json { writer in
            writer.member("kind", kind.rawValue)
            delivery.map { writer.member("delivery_id", base64: $0.bytes) }
            writer.member("webhook_id", webhookID)
            writer.member("tenant", tenant)
            writer.member("event_id", eventID)
            writer.member("event_type", eventType)
            writer.member("source_topic", sourceTopic)
            writer.member("source_partition", sourcePartition)
            writer.member("source_offset", sourceOffset)
            writer.member("source_timestamp_ms", sourceTimestampMs)
            writer.member("fan_out", fanOut)
            writer.member("request_id", requestID)
            writer.member("attempt", attempt)
            writer.member("generation", generation)
            writer.member("started_at_ms", startedAtMs)
            writer.member("duration_us", durationUs)
            writer.member("status", status)
            writer.member("reason", reason)
            writer.member("response", base64: response)
            writer.member("record_topic", recordTopic)
            writer.member("record_offset", recordOffset)
            writer.member("due_at_ms", dueAtMs)
            writer.member("origin_topic", originTopic)
            writer.member("origin_partition", originPartition)
            writer.member("origin_offset", originOffset)
            writer.member("webhook_version", webhookVersion)
            parent.map { writer.member("parent", base64: $0.bytes) }
            writer.member("event_time_ms", eventTimeMs)
            writer.member("failure", failure)
            writer.key("spans")
            writer.array { writer in
                for span in spans {
                    writer.object { writer in
                        writer.member("first", span.first)
                        writer.member("last", span.last)
                    }
                }
            }
        }
    }

    fileprivate static func random(_ random: inout SplitMix64) -> Outcome {
        var outcome = Outcome()
        outcome.kind = Kind.allCases.randomElement(using: &random)!
        outcome.delivery = random.chance(20) ? nil : DeliveryID(random: random.next(), random.next())
        outcome.webhookID = random.text()
        outcome.tenant = random.text()
        outcome.eventID = random.text()
        outcome.eventType = random.text()
        outcome.sourceTopic = random.text()
        outcome.sourcePartition = Int32(random.number() as UInt16)
        outcome.sourceOffset = random.number()
        outcome.sourceTimestampMs = random.number()
        outcome.fanOut = random.number()
        outcome.requestID = random.number()
        outcome.attempt = random.number()
        outcome.generation = random.number()
        outcome.startedAtMs = random.number()
        outcome.durationUs = random.number()
        outcome.status = random.number()
        outcome.reason = random.text()
        outcome.response = random.bytes()
        outcome.recordTopic = random.text()
        outcome.recordOffset = random.number()
        outcome.dueAtMs = random.number()
        outcome.originTopic = random.text()
        outcome.originPartition = Int32(random.number() as UInt16)
        outcome.originOffset = random.number()
        outcome.webhookVersion = random.number()
        outcome.parent = random.chance(50) ? nil : DeliveryID(random: random.next(), random.next())
        outcome.eventTimeMs = random.number()
        outcome.failure = random.text()
        outcome.spans = (0..<random.below(4)).map { _ in Span(first: random.number(), last: random.number()) }
        return outcome
    }
}

extension Webhook {
    fileprivate var protobufJSON: String {
        json { writer in
            writer.member("id", id)
            writer.member("tenant", tenant)
            writer.member("version", version)
            writer.member("url", url)
            writer.key("event_types")
            writer.array { writer in for type in eventTypes { writer.string(type) } }
            writer.key("headers")
            writer.array { writer in
                for header in headers {
                    writer.object { writer in
                        writer.member("name", header.name)
                        writer.member("value", header.value)
                    }
                }
            }
            writer.member("enabled", enabled)
            writer.member("disabled_reason", disabledReason)
            writer.key("secrets")
            writer.array { writer in
                for secret in secrets {
                    writer.object { writer in
                        writer.member("key_id", secret.keyID)
                        writer.member("sealed", base64: secret.sealed)
                        writer.member("kind", secret.kind == .ed25519 ? "ED25519" : "HMAC")
                        writer.member("expires_at_ms", secret.expiresAtMs)
                    }
                }
            }
            writer.member("timeout_ms", timeoutMs)
            writer.member("max_in_flight", maxInFlight)
            writer.member("rate_per_second", ratePerSecond)
            writer.member("paused", paused)
            writer.member("failing_since_ms", failingSinceMs)
            writer.member("description", description)
            writer.member("hub_signature", hubSignature)
            writer.member("created_at_ms", createdAtMs)
            writer.member("updated_at_ms", updatedAtMs)
            if let retry {
                writer.key("retry")
                writer.object { retry.write(protobufJSON: &$0) }
            }
        }
    }

    fileprivate static func random(_ random: inout SplitMix64) -> Webhook {
        var webhook = Webhook()
        webhook.id = random.text()
        webhook.tenant = random.text()
        webhook.version = random.number()
        webhook.url = random.text()
        webhook.eventTypes = (0..<random.below(4)).map { _ in random.text() }
        webhook.headers = (0..<random.below(4)).map { _ in .init(name: random.text(), value: random.text()) }
        webhook.enabled = random.chance(50)
        webhook.disabledReason = random.text()
        webhook.secrets = (0..<random.below(4)).map { _ in
            var secret = SealedSecret()
            secret.keyID = random.text()
            secret.sealed = random.bytes()
            secret.kind = random.chance(50) ? .hmac : .ed25519
            secret.expiresAtMs = random.number()
            return secret
        }
        webhook.timeoutMs = random.number()
        webhook.maxInFlight = random.number()
        webhook.ratePerSecond = random.number()
        webhook.paused = random.chance(50)
        webhook.failingSinceMs = random.number()
        webhook.description = random.text()
        webhook.hubSignature = random.chance(50)
        webhook.createdAtMs = random.number()
        webhook.updatedAtMs = random.number()
        webhook.retry = random.chance(50) ? nil : WebhookRetry.random(&random)
        return webhook
    }
}

extension WebhookRetry {
    fileprivate func write(protobufJSON writer: inout JSONWriter) {
        writer.key("schedule_ms")
        writer.array { writer in for delay in scheduleMs { writer.integer(delay) } }
        if let initialDelayMs { writer.member("initial_delay_ms", initialDelayMs) }
        if let backoffMultiplier {
            writer.key("backoff_multiplier")
            writer.double(backoffMultiplier)
        }
        if let maxDelayMs { writer.member("max_delay_ms", maxDelayMs) }
        if let maxRetries { writer.member("max_retries", maxRetries) }
    }

    fileprivate static func random(_ random: inout SplitMix64) -> WebhookRetry {
        var retry = WebhookRetry()
        retry.scheduleMs = (0..<random.below(4)).map { _ in random.number() }
        retry.initialDelayMs = random.chance(50) ? nil : random.number()
        retry.backoffMultiplier = random.chance(50) ? nil : Double(random.number() as Int32) / 8
        retry.maxDelayMs = random.chance(50) ? nil : random.number()
        retry.maxRetries = random.chance(50) ? nil : random.number()
        return retry
    }
}

extension Signal {
    fileprivate var protobufJSON: String {
        json { writer in
            writer.member("kind", kind.rawValue)
            writer.member("webhook_id", webhookID)
            writer.member("tenant", tenant)
            writer.member("webhook_version", webhookVersion)
            writer.member("at_ms", atMs)
        }
    }

    fileprivate static func random(_ random: inout SplitMix64) -> Signal {
        var signal = Signal()
        signal.kind = [.unspecified, .gone, .failingSince, .recovered][random.below(4)]
        signal.webhookID = random.text()
        signal.tenant = random.text()
        signal.webhookVersion = random.number()
        signal.atMs = random.number()
        return signal
    }
}

// MARK: Parts

extension JSONWriter {
    fileprivate mutating func member(_ name: String, base64 bytes: [UInt8]) {
        member(name, Base64.standard.encode(bytes))
    }
}

extension SplitMix64 {
    /// Every length of a varint is about as likely as the others, and so are the ends of the range; a fifth are the default.
    fileprivate mutating func number<Number: FixedWidthInteger>() -> Number {
        if chance(20) { return 0 }
        if chance(10) { return chance(50) ? .min : .max }
        let magnitude = Number(truncatingIfNeeded: next()) >> Number(below(Number.bitWidth))
        return chance(50) ? magnitude : 0 &- magnitude
    }

    fileprivate mutating func text() -> String {
        let letters: [Character] = [
            "a", "Z", "0", ".", "\u{0}", "\t", "\n", "\"", "\\", "ä", "語", "🦅", "e\u{301}", "\u{10ffff}",
        ]
        return String((0..<length()).map { _ in letters[below(letters.count)] })
    }

    fileprivate mutating func bytes() -> [UInt8] { (0..<length()).map { _ in UInt8(truncatingIfNeeded: next()) } }

    /// Beyond 127 a length takes two bytes.
    private mutating func length() -> Int { chance(20) ? 0 : chance(20) ? 100 + below(200) : 1 + below(12) }
}

private func json(_ members: (inout JSONWriter) -> Void) -> String {
    var writer = JSONWriter()
    writer.object(members)
    return String(decoding: writer.bytes, as: UTF8.self)
}

private func hex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
}

private func bytes(hex: Substring) -> [UInt8] {
    let digits = Array(hex.utf8)
    return stride(from: 0, to: digits.count, by: 2).compactMap {
        UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
    }
}
