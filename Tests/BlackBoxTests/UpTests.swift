import Glibc
import HTTPSending
import JSONScanning
import ServiceSupport
import TestSupport
import Testing

extension BlackBoxTests {
    /// `martlet up` and what belongs to it, as a newcomer meets them.
    @Suite struct UpTests {
        private func withState(_ body: (String) async throws -> Void) async throws {
            let directory = try temporaryDirectory("up")
            let state = directory + "/state"
            do {
                try await body(state)
            } catch {
                try await end(state, directory)
                throw error
            }
            try await end(state, directory)
        }

        private func end(_ state: String, _ directory: String) async throws {
            _ = try await Martlet.run(["down", "--state", state])
            try await Martlet.reset(state)
            removeDirectory(directory)
        }

        /// The pids of a process's children, made by any of its threads.
        private func children(of pid: Int, named pattern: String = ".") async throws -> [Int32] {
            let found = try ChildProcess("pgrep", ["-P", "\(pid)", "-f", pattern])
            try await found.exit()
            return found.output.split(separator: "\n").compactMap { Int32($0) }
        }

        @Test func aSystemIsStartedOnceShowsAnEventStopsAndFindsItsDataAgain() async throws {
            try await withState { state in
                let up = ["up", "--detach", "--ports", "auto", "--state", state]
                let first = try await Martlet.run(up + ["--demo"])
                #expect(first.status == 0, "\(first.output)\(first.errors)")
                for text in [
                    "webhook-signature", "delivered", "delivered at request 3", "requeued   as dlv_",
                    "martlet down --state \(state)", "keeps nothing",
                ] {
                    #expect(first.output.contains(text), "\(text) is missing: \(first.output)")
                }
                let again = try await Martlet.run(up + ["--json"])
                #expect(again.status == 0 && again.errors.contains("is up already"), "\(again.output)\(again.errors)")
                let api = try await API.loggedIn(try Martlet.configuration(try #require(again.json)))
                let receiver = try await Receiver(paths: ["/kept"])
                let webhook = try await api.createWebhook(url: receiver.url("/kept"), types: ["kept.*"])
                let event = try await api.send(#"{"type":"kept.event","source":"test"}"#)
                #expect(await eventually { receiver.ids(at: "/kept") == [event] })
                func status(_ api: API) async throws -> String? {
                    let answer = try await api.call(.get, api.gateway + "/api/v1/events/\(event)")
                    return answer["deliveries"]?.elements?.first?["status"]?.text
                }
                #expect(await eventually { (try? await status(api)) == "delivered" })
                #expect(try await Martlet.run(["status", "--state", state]).status == 0)
                let down = try await Martlet.run(["down", "--state", state])
                #expect(down.status == 0 && down.output.contains("has stopped"))
                #expect(try await Martlet.run(["status", "--state", state]).status == 1)

                let second = try await Martlet.run(up + ["--json"])
                #expect(second.status == 0, "\(second.output)\(second.errors)")
                let later = try await API.loggedIn(try Martlet.configuration(try #require(second.json)))
                #expect(try await later.call(.get, later.gateway + "/api/v1/webhooks/\(webhook.id)").status == 200)
                #expect(try await status(later) == "delivered")
                let next = try await later.send(#"{"type":"kept.event","source":"test"}"#)
                #expect(await eventually { receiver.ids(at: "/kept") == [event, next] })
                #expect(receiver.repeats == 0)
                await receiver.stop()
            }
        }

        @Test func aServiceThatDiesIsStartedAgainAndAllEndWithTheirSupervisor() async throws {
            try await withState { state in
                let up = try await Martlet.run(["up", "--detach", "--ports", "auto", "--state", state, "--json"])
                let supervisor = try #require(up.json?["pid"]?.integer, "\(up.output)\(up.errors)")
                #expect(up.output.hasPrefix("{"), "standard output has something besides JSON: \(up.output)")
                let ingestion = try #require(try await children(of: supervisor, named: "event-ingestion").first)
                kill(ingestion, SIGKILL)
                #expect(
                    await eventually(within: .seconds(30)) {
                        let now = try? await children(of: supervisor, named: "event-ingestion").first
                        guard let now, now != ingestion else { return false }
                        return (try? await Martlet.run(["status", "--state", state]).status) == 0
                    })
                #expect(contents(of: state + "/logs/supervisor.log").contains("event-ingestion ended (signal 9)"))
                let all = try await children(of: supervisor)
                #expect(all.count == MartletSystem.programs.count + 2)
                kill(Int32(supervisor), SIGKILL)
                #expect(
                    await eventually(within: .seconds(30)) { all.allSatisfy { kill($0, 0) != 0 && errno == ESRCH } })
            }
        }

        @Test func theDemoCanEndEverythingBehindIt() async throws {
            try await withState { state in
                let run = try await Martlet.run(["up", "--demo", "--exit", "--ports", "auto", "--state", state])
                #expect(run.status == 0 && run.output.contains("has stopped"), "\(run.output)\(run.errors)")
                #expect(try await Martlet.run(["status", "--state", state]).status == 1)
            }
        }

        @Test func aPortInUseIsNamedAndNothingStays() async throws {
            let holder = TakenPort(8083)
            try await withState { state in
                let run = try await Martlet.run(["up", "--detach", "--state", state])
                #expect(run.status != 0)
                // Where something else of a default system runs here, that may be named first.
                #expect(run.errors.contains(/port \d+, which .+ needs, is in use/), "\(run.output)\(run.errors)")
                #expect(try await Martlet.run(["status", "--state", state]).status == 1)
            }
            holder.close()
        }

        @Test func aMissingProgramIsNamed() async throws {
            try await withState { state in
                let program = try await martlet(beside: [], in: state + "-bin")
                let up = ["up", "--detach", "--ports", "auto", "--state", state]
                let run = try await Martlet.run(up, program: program)
                #expect(run.status != 0 && run.errors.contains("webhook-registry is missing"), "\(run.errors)")
            }
        }

        @Test func aServiceThatDiesDuringTheStartIsNamedAndEverythingStops() async throws {
            try await withState { state in
                let program = try await martlet(beside: MartletSystem.programs, in: state + "-bin")
                let up = ["up", "--detach", "--ports", "auto", "--state", state]
                let run = try await Martlet.run(up, program: program)
                #expect(run.status != 0, "\(run.output)")
                #expect(run.errors.contains("webhook-registry died during the start"), "\(run.errors)")
                #expect(!run.errors.contains("event-ingestion died"))
                let left = try ChildProcess("pgrep", ["-f", state])
                try await left.exit()
                #expect(left.output.isEmpty, "still there: \(left.output)")
            }
        }

        /// A copy of `martlet` in a folder with services that end at once; returns its path.
        private func martlet(beside services: [String], in folder: String) async throws -> String {
            let script = """
                set -e; mkdir "$1"; cp "$0" "$1/martlet"; cd "$1"; shift
                for name; do printf '#!/bin/sh\\nexit 3\\n' > "$name"; chmod +x "$name"; done
                """
            try await Tool.run("sh", ["-c", script, Martlet.program, folder] + services)
            return folder + "/martlet"
        }
    }
}

/// A loopback port that somebody listens on: this, or whoever came before.
private struct TakenPort {
    private let descriptor: Int32

    init(_ port: UInt16) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        listen(descriptor, 1)
    }

    func close() { Glibc.close(descriptor) }
}
