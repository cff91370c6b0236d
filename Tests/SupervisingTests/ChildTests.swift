import ChildProcesses
import Glibc
import TestSupport
import Testing

@testable import Supervising

/// Programs that are shell scripts, in a folder of their own.
struct Scripts {
    let directory: String

    init(_ purpose: String) throws { directory = try temporaryDirectory(purpose) }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    /// Writes an executable script.
    @discardableResult
    func add(_ name: String, _ text: String) throws -> String {
        try Files.write(text, to: path(name), mode: 0o755)
        chmod(path(name), 0o755)
        return path(name)
    }

    func program(_ name: String, _ body: String) throws -> ChildProgram {
        ChildProgram(name: name, executable: try add(name, "#!/bin/sh\n" + body), log: path("\(name).log"))
    }

    func log(_ name: String) -> String { Files.read(path("\(name).log")) ?? "" }

    func remove() { removeDirectory(directory) }
}

/// Whether a process runs; one that has ended and whose parent has not asked yet does not.
func runs(_ pid: Int32) -> Bool {
    guard let status = Files.read("/proc/\(pid)/stat"), let end = status.lastIndex(of: ")") else { return false }
    return !status[end...].hasPrefix(") Z")
}

@Suite(.timeLimit(.minutes(1))) struct ChildTests {
    @Test func itsOutputAndItsEnvironmentAreItsOwn() async throws {
        let scripts = try Scripts("child")
        defer { scripts.remove() }
        var program = try scripts.program("speaker", "echo \"$GREETING $1\"; echo problem >&2; exit 3\n")
        program.environment = ["GREETING": "a b=c"]
        program.arguments = ["x y"]
        let child = try await Child(program)
        await child.waitForEnd()
        #expect(child.endReason == "exit code 3")
        #expect(child.pid == nil)
        #expect(scripts.log("speaker") == "a b=c x y\nproblem\n")
    }

    @Test func itEndsWhenAsked() async throws {
        let scripts = try Scripts("child")
        defer { scripts.remove() }
        let child = try await Child(
            try scripts.program("polite", "trap 'echo bye; exit 0' TERM\necho here\nwhile :; do sleep 0.01; done\n"))
        #expect(await eventually { scripts.log("polite").contains("here") })
        await child.stop(within: .seconds(20))
        #expect(child.endReason == "exit code 0")
        #expect(scripts.log("polite").contains("bye"))
    }

    @Test func whatDoesNotEndIsKilled() async throws {
        let scripts = try Scripts("child")
        defer { scripts.remove() }
        let child = try await Child(
            try scripts.program("stubborn", "trap '' TERM\necho here\nwhile :; do sleep 0.01; done\n"))
        #expect(await eventually { scripts.log("stubborn").contains("here") })
        let pid = try #require(child.pid)
        await child.stop(within: .milliseconds(100))
        #expect(child.endReason == "signal 9")
        #expect(!runs(pid))
    }

    @Test func whatIsNotThereEndsAtOnce() async throws {
        let scripts = try Scripts("child")
        defer { scripts.remove() }
        let child = try await Child(
            ChildProgram(name: "nothing", executable: scripts.path("nothing"), log: scripts.path("nothing.log")))
        await child.waitForEnd()
        #expect(child.endReason == "exit code 127")
        #expect(scripts.log("nothing").contains("No such file"))
    }
}

@Suite(.timeLimit(.minutes(1))) struct KeeperTests {
    @Test func whatDiesIsStartedAgainAndNotAfterTheStop() async throws {
        let scripts = try Scripts("keeper")
        defer { scripts.remove() }
        let printed = Printed()
        let keeper = try await Keeper(
            try scripts.program(
                "mortal",
                "echo started\nwhile [ ! -e \(scripts.path("die")) ]; do sleep 0.01; done\n"
                    + "rm \(scripts.path("die")); exit 9\n"), report: printed.output.result)
        keeper.watch()
        func starts() -> Int { scripts.log("mortal").split(separator: "\n").count { $0 == "started" } }
        #expect(await eventually { starts() == 1 })
        try Files.write("", to: scripts.path("die"))
        #expect(await eventually { starts() == 2 })
        #expect(printed.results == ["mortal ended (exit code 9); starting it again in 0.5 seconds"])
        #expect(await eventually { keeper.isAlive })
        await keeper.stop(within: .seconds(5))
        #expect(!keeper.isAlive)
        #expect(starts() == 2)
        #expect(printed.results.count == 1)
    }

    @Test func aDeathDuringTheStartIsToldWithTheEndOfItsLog() async throws {
        let scripts = try Scripts("keeper")
        defer { scripts.remove() }
        let keeper = try await Keeper(
            try scripts.program("doomed", "for i in 1 2 3 4 5 6 7; do echo line $i; done; exit 4\n"), report: { _ in })
        #expect(await eventually { !keeper.isAlive })
        let notice = keeper.deathNotice.description
        #expect(notice.hasPrefix("doomed died during the start (exit code 4)"))
        #expect(notice.hasSuffix("line 3\nline 4\nline 5\nline 6\nline 7"))
        await keeper.stop(within: .seconds(1))
    }
}
