/// What one property of a command takes from the command line. Data: help texts, and completions, are made from it.
public struct ArgumentDefinition: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        /// `--name`
        case flag
        /// `--name value`
        case option
        /// `value`
        case positional
    }

    public let kind: Kind
    /// With their dashes, the long one first; empty for a positional one.
    public let names: [String]
    /// What stands for the value in help texts.
    public let valueName: String
    public let help: String
    public let isRequired: Bool
    public let isRepeating: Bool
    /// The default as it would be typed; nil where there is none worth telling.
    public let defaultText: String?
    /// All values that are taken, where they are few; else empty.
    public let choices: [String]
    /// What a value names.
    public let valueKind: ValueKind

    /// As it is typed: `--state <dir>`, `<file> ...`.
    var usage: String {
        let word =
            switch kind {
            case .flag: names[0]
            case .option: "\(names[0]) <\(valueName)>"
            case .positional: "<\(valueName)>"
            }
        let repeated = isRepeating ? word + " ..." : word
        return isRequired ? repeated : "[\(repeated)]"
    }
}

/// A command as data, with those below it.
public struct CommandModel: Sendable {
    /// All words that call it: `martlet users add`.
    public let path: String
    public let name: String
    public let abstract: String
    public let discussion: String
    /// What `--version` says; empty where there is no such flag.
    public let version: String
    public let arguments: [ArgumentDefinition]
    public let subcommands: [CommandModel]
}

/// How an option or a flag is spelt.
public enum NameSpecification: Sendable {
    /// `--fail-first`, from the property's name.
    case long
    /// `-f`, the first letter of the property's name.
    case short
    /// Both.
    case shortAndLong
    /// `--` and this.
    case customLong(String)
    /// `-` and this, and the long name.
    case customShort(Character)

    func names(for label: String) -> [String] {
        let long = "--" + kebabCase(label)
        switch self {
        case .long: return [long]
        case .short: return ["-" + label.prefix(1).lowercased()]
        case .shortAndLong: return [long, "-" + label.prefix(1).lowercased()]
        case .customLong(let name): return ["--" + name]
        case .customShort(let letter): return [long, "-\(letter)"]
        }
    }
}

/// `failFirst` → `fail-first`
func kebabCase(_ name: String) -> String {
    var result = ""
    for character in name {
        if character.isUppercase, !result.isEmpty { result.append("-") }
        result += character.lowercased()
    }
    return result
}
