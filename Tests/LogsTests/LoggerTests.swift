import Foundation
import Glibc
import Synchronization
import Testing

@testable import Logs

/// Keeps lines as they were written.
private final class Recorder: Sendable {
    let lines = Mutex<[[UInt8]]>([])

    func output(level: Logger.Level = .info) -> LogOutput {
        LogOutput(service: "test-service", level: level) { line in self.lines.withLock { $0.append(line) } }
    }

    func objects() throws -> [[String: Any]] {
        try lines.withLock { $0 }.map { line in
            #expect(line.last == UInt8(ascii: "\n"))
            #expect(!line.dropLast().contains { $0 < 0x20 })
            return try #require(try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
        }
    }
}

@Suite struct LoggerTests {
    private let recorder = Recorder()

    @Test func aLineIsOneJSONObject() throws {
        var logger = Logger(label: "kafka", output: recorder.output())
        logger[metadataKey: "topic"] = "events"
        logger.info(
            "produced",
            metadata: [
                "count": .stringConvertible(3), "flag": .stringConvertible(true), "ratio": .stringConvertible(0.5),
                "nan": .stringConvertible(Double.nan), "list": ["a", .stringConvertible(1)], "map": ["k": ["x": "y"]],
            ])
        let object = try #require(try recorder.objects().first)
        #expect(object["service"] as? String == "test-service")
        #expect(object["logger"] as? String == "kafka")
        #expect(object["level"] as? String == "info")
        #expect(object["message"] as? String == "produced")
        #expect(object["topic"] as? String == "events")
        #expect(object["count"] as? Int == 3)
        #expect(object["flag"] as? Bool == true)
        #expect(object["ratio"] as? Double == 0.5)
        #expect(object["nan"] as? String == "nan")
        #expect((object["list"] as? [Any])?.count == 2)
        #expect(((object["map"] as? [String: Any])?["k"] as? [String: Any])?["x"] as? String == "y")
        let time = try #require(object["time"] as? String)
        let parsed = try Date.ISO8601FormatStyle(includingFractionalSeconds: true).parse(time)
        #expect(abs(parsed.timeIntervalSinceNow) < 60)
    }

    @Test(arguments: [
        "quote \" backslash \\", "a\r\nb\tc\0d\u{1b}[31m\u{7f}\u{85}", "é 漢 🐦",
        String(decoding: [0xff, 0x41, 0xc3], as: UTF8.self),
    ])
    func anyTextSurvives(text: String) throws {
        let logger = Logger(label: text, output: recorder.output())
        logger.info("\(text)", metadata: [text: "\(text)"])
        let object = try #require(try recorder.objects().first)
        #expect(object["message"] as? String == text)
        #expect(object["logger"] as? String == text)
        #expect(object[text] as? String == text)
    }

    @Test func metadataCannotForgeALinesOwnFields() throws {
        Logger(label: "l", output: recorder.output()).info("true", metadata: ["message": "forged", "level": "debug"])
        let object = try #require(try recorder.objects().first)
        #expect(object["message"] as? String == "true")
        #expect(object["message_"] as? String == "forged")
        #expect(object["level_"] as? String == "debug")
    }

    @Test func longTextAndDeepMetadataAreCut() throws {
        var deep: Logger.MetadataValue = "end"
        for _ in 0..<50 { deep = [deep] }
        let long = String(repeating: "é", count: 100_000)
        Logger(label: "l", output: recorder.output()).info("cut", metadata: ["long": "\(long)", "deep": deep])
        let object = try #require(try recorder.objects().first)
        let kept = try #require(object["long"] as? String)
        #expect(kept.hasSuffix("é…") && kept.utf8.count <= LogLine.maximumStringBytes + 3)
    }

    @Test func whatIsNotEnabledIsNotEvaluated() {
        let output = recorder.output(level: .warning)
        var logger = Logger(label: "l", output: output)
        func forbidden() -> Logger.Metadata {
            Issue.record("evaluated")
            return [:]
        }
        logger.info("\(forbidden().description)", metadata: forbidden())
        #expect(recorder.lines.withLock { $0.isEmpty })
        logger.warning("said")
        output.level = .debug
        logger.debug("said")
        logger.logLevel = .critical
        logger.error("\(forbidden().description)")
        #expect(recorder.lines.withLock { $0.count } == 2)
    }

    @Test func levelsAreOrdered() {
        #expect(Logger.Level.allCases == Logger.Level.allCases.sorted())
        #expect(Logger.Level.allCases.enumerated().allSatisfy { $0.offset == Int($0.element.rank) })
    }

    @Test func aLimiterCountsWhatItLeavesOut() throws {
        let now = Mutex<UInt64>(0)
        let limiter = LogLimiter(every: .seconds(10)) { now.withLock { $0 } }
        let logger = Logger(label: "l", output: recorder.output())
        for _ in 0..<5 { logger.error("broker away", limit: limiter) }
        #expect(recorder.lines.withLock { $0.count } == 1)
        now.withLock { $0 = 10_000_000_000 }
        logger.error("broker away", limit: limiter)
        let objects = try recorder.objects()
        #expect(objects.count == 2)
        #expect(objects[0]["suppressed"] == nil)
        #expect(objects[1]["suppressed"] as? Int == 4)
    }

    @Test func linesFromManyThreadsStayWholeInAPipe() async throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let output = LogOutput(service: "s", descriptor: ends[1])
        let reader = ends[0]
        let text = String(repeating: "x", count: 6_000)
        let received = Task.detached {
            var all: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while case let count = read(reader, &buffer, buffer.count), count > 0 { all += buffer[..<count] }
            return all
        }
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    let logger = Logger(label: "w\(worker)", output: output)
                    for _ in 0..<50 { logger.info("long", metadata: ["text": "\(text)"]) }
                }
            }
        }
        close(ends[1])
        let lines = await received.value.split(separator: UInt8(ascii: "\n"))
        close(ends[0])
        #expect(lines.count == 200)
        for line in lines {
            let object = try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any]
            #expect(object?["text"] as? String == text)
        }
    }
}

@Suite struct LogTimeTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"), (-1, "1969-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] as [(Int64, String)])
    func datesAreRight(ms: Int64, text: String) {
        var line = LogLine(capacity: 0)
        line.begin(timeMs: ms, level: .info, service: "", label: "", message: "")
        #expect(String(decoding: line.finished(), as: UTF8.self).hasPrefix("{\"time\":\"\(text)\""))
    }
}
