import TestSupport
import Testing
import WireFormat

@testable import Records

@Suite struct RegistryMessageTests {
    private var fields: WebhookFields {
        var fields = WebhookFields()
        fields.url = "https://example.org/ä"
        fields.eventTypes = ["a.b", "*"]
        fields.headers = [.init(name: "X-A", value: ""), .init(name: "X-B", value: "b")]
        fields.enabled = false
        fields.timeoutMs = 0
        fields.maxInFlight = 7
        fields.description = ""
        fields.hubSignature = true
        fields.ratePerSecond = 0
        fields.paused = false
        var retry = WebhookRetry()
        retry.scheduleMs = [10_000, 30_000]
        retry.maxRetries = 0
        fields.retry = retry
        return fields
    }

    @Test func absentAndEmptyFieldsStayApart() throws {
        #expect(try WebhookFields(decoding: fields.encoded()) == fields)
        #expect(try WebhookFields(decoding: []) == WebhookFields())
        var empty = WebhookFields()
        empty.eventTypes = []
        empty.headers = []
        empty.retry = WebhookRetry()
        #expect(try WebhookFields(decoding: empty.encoded()) == empty)
        #expect(empty != WebhookFields())
    }

    @Test func requestsAndRepliesComeBack() throws {
        var webhook = Webhook()
        webhook.id = "wh_1"
        var update = UpdateWebhookRequest()
        update.tenant = "acme"
        update.id = "wh_1"
        update.fields = fields
        update.expectedVersion = 9
        #expect(try UpdateWebhookRequest(decoding: update.encoded()) == update)
        var created = CreateWebhookReply()
        created.webhook = webhook
        created.secret = "whsec_x"
        created.pending = true
        #expect(try CreateWebhookReply(decoding: created.encoded()) == created)
        var list = ListWebhooksReply()
        list.webhooks = [webhook, webhook]
        list.next = "c"
        #expect(try ListWebhooksReply(decoding: list.encoded()) == list)
        var rotate = RotateSecretRequest()
        rotate.overlapSeconds = 0
        #expect(try RotateSecretRequest(decoding: rotate.encoded()) == rotate)
        #expect(rotate != RotateSecretRequest())
    }

    @Test func problemsComeBack() throws {
        let problems = RequestProblems([
            RequestProblem(field: "headers[2].value", .fieldInvalid, "no"), RequestProblem(.notFound, "x"),
        ])
        #expect(try RequestProblems(decoding: problems.encoded()) == problems)
    }

    /// An independent implementation, made from `proto/`, reads and writes the same bytes.
    @Test(.enabled("needs packages from PyPI") { await Python.isAvailable() })
    func protobufAgrees() async throws {
        let script = """
            import sys, tempfile
            from grpc_tools import protoc
            out = tempfile.mkdtemp()
            files = ["martlet/v1/records.proto", "martlet/v1/registry.proto"]
            assert protoc.main(["protoc", "-I" + sys.argv[1], "--python_out=" + out] + files) == 0
            sys.path.insert(0, out)
            from martlet.v1 import registry_pb2 as r
            m = r.UpdateWebhookRequest.FromString(bytes.fromhex(sys.argv[2]))
            assert m.tenant == "acme" and m.id == "wh_1" and m.expected_version == 2**63 + 1
            f = m.fields
            assert f.url == "https://example.org/ä" and list(f.event_types.patterns) == ["a.b", "*"]
            assert [(h.name, h.value) for h in f.headers.headers] == [("X-A", ""), ("X-B", "b")]
            assert f.HasField("enabled") and not f.enabled and f.HasField("timeout_ms") and f.timeout_ms == 0
            assert f.max_in_flight == 7 and f.HasField("description") and f.description == "" and f.hub_signature
            assert f.HasField("rate_per_second") and f.rate_per_second == 0 and f.HasField("paused") and not f.paused
            assert list(f.retry.schedule_ms) == [10000, 30000]
            assert f.retry.HasField("max_retries") and f.retry.max_retries == 0
            assert not f.retry.HasField("initial_delay_ms")
            assert not r.WebhookFields().HasField("event_types") and not r.WebhookFields().HasField("retry")
            print(m.SerializeToString().hex())
            """
        var update = UpdateWebhookRequest()
        update.tenant = "acme"
        update.id = "wh_1"
        update.fields = fields
        update.expectedVersion = 1 << 63 + 1
        let hex = update.encoded().map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
        let answer = try await Python.run(script, [Python.checkout + "/proto", hex])
        #expect(answer == hex + "\n")
    }
}
