import Glibc
import JSONScanning
import TestSupport
import Testing

@testable import Supervising

@Suite struct RestartBackoffTests {
    @Test func restartsComeLaterEachTimeUntilTheProgramHasSettled() {
        var backoff = RestartBackoff()
        // How long it ran, and the delay after that, in milliseconds.
        let runs: [(ran: Int, delay: Int)] = [
            (0, 500), (10, 1_000), (10, 2_000), (10, 4_000), (10, 8_000), (10, 16_000), (10, 30_000), (10, 30_000),
            (59_999, 30_000), (60_000, 500), (10, 1_000),
        ]
        for (number, run) in runs.enumerated() {
            let delay = backoff.delay(afterRunning: .milliseconds(run.ran))
            #expect(delay == .milliseconds(run.delay), "run \(number)")
        }
    }
}

@Suite struct LocalPortsTests {
    @Test func automaticPortsAreAllDifferent() throws {
        let ports = try LocalPorts.automatic()
        #expect(Set(LocalPorts.all.map { ports[keyPath: $0.path] }).count == LocalPorts.all.count)
        #expect(LocalPorts.all.allSatisfy { LocalPorts.automaticRange.contains(ports[keyPath: $0.path]) })
        try ports.check()
    }

    @Test func aPortInUseIsNamedWithItsPurpose() throws {
        for (name, path) in LocalPorts.all {
            var ports = try LocalPorts.automatic()
            let taken = try LoopbackPort(0)
            ports[keyPath: path] = taken.number
            let error = #expect(throws: SupervisionError.self) { try ports.check() }
            #expect(error?.description.hasPrefix("port \(taken.number), which \(name) needs, is in use") == true)
            // Who does not need it does not mind.
            try ports.check(without: [name])
            withExtendedLifetime(taken) {}
        }
    }

    @Test func aPortIsFreeAgainWhenItsHolderIsGone() throws {
        let number = try LoopbackPort(0).number
        _ = try LoopbackPort(number)
    }
}

@Suite struct LocalStateTests {
    private func withState(_ body: (LocalState) throws -> Void) throws {
        let directory = try temporaryDirectory("state")
        defer { removeDirectory(directory) }
        try body(LocalState(directory))
    }

    @Test func aStateOfAProcessThatIsNotOursIsIgnored() throws {
        try withState { state in
            #expect(state.running() == nil)
            // This process runs, and is no martlet.
            try state.write(
                LocalState.Running(pid: getpid(), ports: LocalPorts(), kafka: "memory", brokers: "", logID: ""))
            #expect(Files.exists("\(state.directory)/state.json"))
            #expect(state.running() == nil)
            state.forget()
            #expect(!Files.exists("\(state.directory)/state.json"))
        }
    }

    @Test(arguments: ["", "{", "[]", #"{"pid":"x"}"#, #"{"pid":-1}"#, #"{"pid":99999999999}"#])
    func anUnreadableStateIsNone(text: String) throws {
        try withState { state in
            try Files.write(text, to: "\(state.directory)/state.json")
            #expect(state.running() == nil)
        }
    }

    @Test func pathsAreAbsolute() {
        #expect(LocalState("/x/y").directory == "/x/y")
        #expect(LocalState("z").directory == Files.currentDirectory + "/z")
        #expect(LocalState(nil).directory == Files.currentDirectory + "/.martlet")
    }
}

@Suite struct SummaryTests {
    private func summary(_ ports: LocalPorts = LocalPorts(), kafka: String = "memory") -> Summary {
        Summary(
            running: LocalState.Running(pid: 7, ports: ports, kafka: kafka, brokers: "127.0.0.1:1234", logID: ""),
            state: LocalState("/somewhere"))
    }

    @Test func theTextHasTheAddressesThreeCommandsAndHowToStop() {
        let text = summary().text
        for part in [
            "http://localhost:8080", "http://localhost:8082/events", "127.0.0.1:1234", "keeps nothing",
            "-X POST localhost:8080/auth/login", "-X POST localhost:8080/api/v1/webhooks",
            "-X POST localhost:8082/events", "make down", "/somewhere/logs",
        ] {
            #expect(text.contains(part), "\(part)")
        }
    }

    @Test func aSecondSystemIsStoppedByItsFolder() {
        var ports = LocalPorts()
        ports.gateway = 5_000
        let text = summary(ports, kafka: "real").text
        #expect(text.contains("martlet down --state /somewhere"))
        #expect(text.contains("localhost:5000/api/v1/webhooks"))
        #expect(!text.contains("make down"))
        #expect(!text.contains("keeps nothing"))
    }

    @Test func asJSONItHasEveryPort() throws {
        let value = try #require(JSONValue(answer: Array(summary().json.utf8)))
        #expect(value["status"]?.text == "up")
        #expect(value["pid"]?.integer == 7)
        #expect(value["kafka_mode"]?.text == "memory")
        for (name, path) in LocalPorts.all {
            #expect(value["ports"]?[name]?.integer == Int(LocalPorts()[keyPath: path]), "\(name)")
        }
    }
}
