internal import Flags

struct CompletionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completions", abstract: "Print a script that teaches a shell to complete martlet's words.",
        discussion: """
            To install it, for one user:

              bash   mkdir -p ~/.local/share/bash-completion/completions
                     martlet completions bash > ~/.local/share/bash-completion/completions/martlet
              zsh    mkdir -p ~/.zfunc && martlet completions zsh > ~/.zfunc/_martlet
                     and in ~/.zshrc, before compinit: fpath+=~/.zfunc
              fish   martlet completions fish > ~/.config/fish/completions/martlet.fish

            Without bash's package bash-completion, and to try it: source <(martlet completions bash)
            """)
    @Argument(help: "For which shell.") var shell: CompletionShell

    func run() async throws {
        print(MartletCommand.model.completions(for: shell), terminator: "")
    }
}
