import Glibc
import Testing

@testable import Settings

private enum Profile: String, CaseIterable, Sendable { case production, development }

/// What a program would declare.
private struct Sample {
    var profile: Profile
    var brokers: [HostPort]
    var partitions: Int
    var linger: Duration
    var buffer: Int
    var verify: Bool
    var password: String
    var properties: [String: String]
    var nestedName: String

    init(_ reader: SettingsReader) {
        profile = reader.value("profile", .choice(), default: .production, "The profile.")
        let kafka = reader.section("kafka")
        brokers = kafka.value(
            "brokers", .list(of: .hostPort, count: 1...8), default: [HostPort(host: "localhost", port: 9092)], "Where.")
        partitions = kafka.value("partitions", .integer(1...1_000), default: 16, "How many.")
        linger = kafka.value("linger", .duration(.zero ... .seconds(60)), default: .milliseconds(5), "How long.")
        buffer = kafka.value("buffer", .bytes(1_024...(1 << 30)), default: 64 << 20, "How much.")
        let security = kafka.section("security")
        verify = security.value("verify", .boolean, default: true, "Whether.")
        password = security.value("password", .text(0...64), default: "", isSecret: true, "The password.")
        properties = kafka.value("properties", .map(of: .text()), default: [:], "More.")
        nestedName = reader.value("name", .text(1...10), default: "n", "A name.")
    }
}

@Suite struct SettingsReaderTests {
    private func read(_ yaml: String? = nil, _ environment: [String: String] = [:]) throws -> (
        Sample, [EffectiveSetting]
    ) {
        let sources = try SettingsSources(
            yaml: yaml.map { Array($0.utf8) }, file: "test.yaml", environment: environment, prefix: "APP_",
            otherVariables: ["APP_CONFIG"])
        let reader = SettingsReader(sources)
        let sample = Sample(reader)
        try reader.finish()
        return (sample, reader.effective)
    }

    private func problems(_ yaml: String? = nil, _ environment: [String: String] = [:]) -> [String] {
        do {
            _ = try read(yaml, environment)
            return []
        } catch {
            return (error as? SettingsError)?.problems ?? ["\(error)"]
        }
    }

    @Test func defaultsNeedNothing() throws {
        let (sample, effective) = try read()
        #expect(sample.partitions == 16 && sample.profile == .production)
        #expect(effective.allSatisfy { $0.source == .fallback && $0.value == $0.defaultValue })
        #expect(effective.map(\.path).prefix(3) == ["profile", "kafka.brokers", "kafka.partitions"])
    }

    @Test func everyKindIsReadFromTheFile() throws {
        let (sample, effective) = try read(
            """
            profile: development
            kafka:
              brokers: ["a:1", "[::1]:2"]
              partitions: 8
              linger: 250ms
              buffer: 5MiB
              security: {verify: false, password: "p,w \\"q\\""}
              properties:
                client.id: x
                socket.keepalive.enable: true
            """)
        #expect(sample.profile == .development)
        #expect(sample.brokers == [HostPort(host: "a", port: 1), HostPort(host: "::1", port: 2)])
        #expect(sample.partitions == 8)
        #expect(sample.linger == .milliseconds(250))
        #expect(sample.buffer == 5 << 20)
        #expect(!sample.verify)
        #expect(sample.password == "p,w \"q\"")
        #expect(sample.properties == ["client.id": "x", "socket.keepalive.enable": "true"])
        #expect(effective.first { $0.path == "kafka.linger" }?.source == .file("test.yaml", line: 5))
    }

    @Test func theEnvironmentOverridesTheFile() throws {
        let (sample, effective) = try read(
            "kafka: {partitions: 8}",
            [
                "APP_KAFKA_PARTITIONS": "4", "APP_KAFKA_BROKERS": "a:1, b:2", "APP_KAFKA_SECURITY_VERIFY": "false",
                "APP_KAFKA_PROPERTIES": "a=b,c=d=e", "PATH": "/bin", "APP_CONFIG": "ignored",
            ])
        #expect(sample.partitions == 4)
        #expect(sample.brokers.map(\.port) == [1, 2])
        #expect(sample.properties == ["a": "b", "c": "d=e"])
        #expect(effective.first { $0.path == "kafka.partitions" }?.source == .environment("APP_KAFKA_PARTITIONS"))
    }

    @Test(arguments: [
        ("kafka: {partitions: 0}", "kafka.partitions: expected an integer from 1 to 1000, found \"0\" (test.yaml:1)"),
        (
            "\nkafka:\n  partitions: many",
            "kafka.partitions: expected an integer from 1 to 1000, found \"many\" (test.yaml:3)"
        ),
        (
            "kafka: {partitions: [1]}",
            "kafka.partitions: expected an integer from 1 to 1000, found [\"1\"] (test.yaml:1)"
        ),
        ("kafka:\n  partitions:", "kafka.partitions: expected an integer from 1 to 1000, found nothing (test.yaml:2)"),
        ("profile: prod", "profile: expected one of production, development, found \"prod\" (test.yaml:1)"),
        (
            "kafka: {security: {verify: yes}}",
            "kafka.security.verify: expected true or false, found \"yes\" (test.yaml:1)"
        ),
        (
            "kafka: {linger: 5}",
            "kafka.linger: expected a duration from 0 to 1m, such as 250ms, 6s, 15m or 72h, found \"5\" (test.yaml:1)"
        ),
        (
            "kafka: {buffer: 1KB}",
            "kafka.buffer: expected a size from 1KiB to 1GiB, such as 64KiB or 5MiB, found \"1KB\" (test.yaml:1)"
        ),
        ("kafka: 3", "kafka: expected a section of keys (test.yaml:1)"),
        ("kafka:\n  partition: 3", "kafka.partition: no such key (test.yaml:2); did you mean kafka.partitions?"),
        ("entirely: {other: 1}", "entirely: no such key (test.yaml:1)"),
        ("[1]", "test.yaml:1: expected a mapping of settings"),
        ("name: \"a\\nb\"", "name: expected text, found \"a\\nb\" (test.yaml:1)"),
    ])
    func whatIsWrongInTheFileIsExplained(yaml: String, problem: String) { #expect(problems(yaml) == [problem]) }

    @Test(arguments: [
        (
            "APP_KAFKA_PARTITIONS", "1e3",
            "kafka.partitions: expected an integer from 1 to 1000, found \"1e3\" (environment APP_KAFKA_PARTITIONS)"
        ),
        (
            "APP_KAFKA_PARTITION", "1",
            "APP_KAFKA_PARTITION: no setting has this environment variable; did you mean APP_KAFKA_PARTITIONS?"
        ),
        (
            "APP_KAFKA_BROKERS", "a:1,b",
            "kafka.brokers: expected a list, of each: host:port, such as 127.0.0.1:8080 (at least 1, at most 8), "
                + "found \"a:1,b\" (environment APP_KAFKA_BROKERS)"
        ),
    ])
    func whatIsWrongInTheEnvironmentIsExplained(name: String, value: String, problem: String) {
        #expect(problems(nil, [name: value]) == [problem])
    }

    @Test func everyProblemIsReportedAtOnce() {
        #expect(problems("profile: x\nkafka: {partitions: 0, unknown: 1}", ["APP_WHAT": "1"]).count == 4)
    }

    @Test func secretsAreNeverShown() throws {
        let long = String(repeating: "geheim", count: 20)
        let found = problems("kafka: {security: {password: \(long)}}")
        #expect(found.count == 1 && found[0].contains("kafka.security.password") && !found[0].contains("geheim"))
        let (_, effective) = try read("kafka: {security: {password: geheim}}")
        let setting = try #require(effective.first { $0.path == "kafka.security.password" })
        #expect(setting.shownValue == "******" && setting.isSecret && setting.value == "\"geheim\"")
    }

    @Test func valuesHaveAShapeForPrograms() throws {
        let (_, effective) = try read(
            """
            kafka:
              brokers: ["a:1"]
              partitions: 8
              linger: 250ms
              security: {verify: false, password: geheim}
              properties: {a.b: "7", c: 'd "e"'}
            name: "12"
            """)
        func value(_ path: String) -> SettingValue? { effective.first { $0.path == path }?.structuredValue }
        #expect(value("kafka.brokers") == .list([.text("a:1")]))
        #expect(value("kafka.partitions") == .number("8"))
        #expect(value("kafka.linger") == .text("250ms"))
        #expect(value("kafka.security.verify") == .boolean(false))
        #expect(value("kafka.security.password") == .text("******"))
        #expect(
            value("kafka.properties")
                == .map([.init(name: "a.b", value: .text("7")), .init(name: "c", value: .text("d \"e\""))]))
        #expect(value("name") == .text("12"))
        #expect(value("profile") == .text("production"))
    }

    @Test func aSecretMayLieInAFile() throws {
        let path = "/tmp/martlet-settings-\(getpid()).secret"
        let file = try #require(fopen(path, "w"))
        fputs("geheim\n", file)
        fclose(file)
        defer { unlink(path) }
        #expect(try read(nil, ["APP_KAFKA_SECURITY_PASSWORD_FILE": path]).0.password == "geheim")
        let both = ["APP_KAFKA_SECURITY_PASSWORD_FILE": path, "APP_KAFKA_SECURITY_PASSWORD": "direct"]
        #expect(try read(nil, both).0.password == "direct")
        #expect(
            problems(nil, ["APP_KAFKA_SECURITY_PASSWORD_FILE": "/nowhere"]) == [
                "kafka.security.password: expected a readable file of at most 64KiB, found \"/nowhere\" "
                    + "(environment APP_KAFKA_SECURITY_PASSWORD_FILE)"
            ])
        #expect(problems(nil, ["APP_KAFKA_PARTITIONS_FILE": path]).count == 1)
    }

    @Test func aFileThatCannotBeReadOrParsedIsNamed() {
        let missing = #expect(throws: SettingsError.self) {
            _ = try SettingsSources(file: "/nowhere/config.yaml", environment: [:], prefix: "APP_")
        }
        #expect(missing?.description == "/nowhere/config.yaml: No such file or directory")
        #expect(problems("a: 1\na: 2") == ["test.yaml:2: key \"a\" was given on line 1 already"])
    }

    @Test func problemsOfSeveralKeysTogetherNameWhereTheValueStands() throws {
        let sources = try SettingsSources(yaml: Array("a: 5".utf8), file: "f", environment: [:], prefix: "APP_")
        let reader = SettingsReader(sources)
        _ = reader.value("a", .integer(0...9), default: 0, "")
        reader.refuse("a", because: "must be below b")
        let error = #expect(throws: SettingsError.self) { try reader.finish() }
        #expect(error?.problems == ["a = 5: must be below b (f:1)"])
    }

    @Test func valuesAreWrittenAsTheyCanBeReadAgain() throws {
        let (_, effective) = try read(
            """
            name: "q\\"\\\\"
            kafka: {brokers: ["[::1]:2"], linger: 1500ms, buffer: 1025, properties: {"a.b": "c: d"}}
            """)
        var yaml = ""
        for setting in effective where !setting.path.contains(".") { yaml += "\(setting.path): \(setting.value)\n" }
        yaml += "kafka:\n"
        for setting in effective where setting.path.hasPrefix("kafka.") && !setting.path.contains("security") {
            yaml += "  \(setting.path.dropFirst(6)): \(setting.value)\n"
        }
        let again = try read(yaml).1
        #expect(again.map(\.value) == effective.map(\.value))
    }
}

@Suite struct QuantityTests {
    @Test(arguments: [
        ("0", Duration.zero), ("250ms", .milliseconds(250)), ("6s", .seconds(6)), ("15m", .seconds(900)),
        ("72h", .seconds(259_200)), ("30d", .seconds(2_592_000)),
    ])
    func durationsAreReadAndWritten(text: String, value: Duration) {
        #expect(DurationText.parse(text) == value)
        #expect(DurationText.text(value) == text)
    }

    @Test(arguments: ["", "s", "-1s", "+1s", "1.5s", "1 s", "5", "99999999999999999d", "1S", "５s"])
    func whatIsNoDurationIsRefused(text: String) { #expect(DurationText.parse(text) == nil) }

    @Test(arguments: [
        ("512", 512), ("1KiB", 1_024), ("256KiB", 262_144), ("5MiB", 5 << 20), ("2GiB", 2 << 30), ("0", 0),
    ])
    func sizesAreReadAndWritten(text: String, value: Int) {
        #expect(ByteSize.parse(text) == value)
        #expect(ByteSize.text(value) == text)
    }

    @Test(arguments: ["", "KiB", "-1", "1KB", "1.5MiB", "1 MiB", "99999999999GiB"])
    func whatIsNoSizeIsRefused(text: String) { #expect(ByteSize.parse(text) == nil) }

    @Test(arguments: ["a", "a:", ":1", "a:0", "a:65536", "a:+1", "::1:80", "a b:1", "a:1:2", "http://a:1", "[]:1"])
    func whatIsNoAddressIsRefused(text: String) { #expect(HostPort(text) == nil) }
}
