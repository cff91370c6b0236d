internal import EventLoops
internal import Flags
internal import Glibc

/// A password as it is typed. Never an argument: those are seen by every user of the machine.
enum Password {
    /// Asks on the terminal, twice and without showing it; else takes the first line of standard input. Waits on a thread of its own.
    static func read() async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            NativeThread.start(name: "password") {
                continuation.resume(with: Result { isatty(0) == 1 ? try ask() : try checked(readLine()) })
            }
        }
    }

    private static func ask() throws -> String {
        let first = try ask("Password: ")
        guard try ask("Again: ") == first else { throw ValidationError("the two passwords differ") }
        return first
    }

    /// Without the terminal's own line editing, so that Ctrl-C comes as a character: a signal would leave the terminal silent.
    private static func ask(_ prompt: String) throws -> String {
        say(prompt)
        var before = termios()
        tcgetattr(0, &before)
        var hidden = before
        hidden.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
        tcsetattr(0, TCSAFLUSH, &hidden)
        defer {
            tcsetattr(0, TCSAFLUSH, &before)
            say("\n")
        }
        var typed: [UInt8] = []
        var byte: UInt8 = 0
        while Glibc.read(0, &byte, 1) == 1 {
            switch byte {
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"): return try checked(String(decoding: typed, as: UTF8.self))
            // Ctrl-C, Ctrl-D.
            case 3, 4: throw ValidationError("interrupted")
            // Backspace takes a character, which may be several bytes.
            case 8, 127:
                while let last = typed.popLast(), last & 0xc0 == 0x80 {}
            default: typed.append(byte)
            }
        }
        throw ValidationError("the terminal is gone")
    }

    private static func checked(_ text: String?) throws(ValidationError) -> String {
        guard let text, !text.isEmpty else { throw ValidationError("there is no password at standard input") }
        return text
    }

    private static func say(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(2, bytes, bytes.count)
    }
}
