import { present, type Problem, type Tree } from './detected-build.js'

/** Languages that are known by name alone, and the files in the root that tell: names, or endings that begin with a dot. */
const LANGUAGES: readonly (readonly [language: string, files: readonly string[]])[] = [
  ['PHP', ['composer.json', 'artisan', 'index.php', 'wp-config.php', 'public/index.php']],
  ['Ruby', ['Gemfile', 'config.ru', '.gemspec']],
  ['Elixir', ['mix.exs']],
  ['Java or Kotlin', ['pom.xml', 'build.gradle', 'build.gradle.kts', 'mvnw', 'gradlew']],
  ['Scala', ['build.sbt', 'build.sc', 'build.mill']],
  ['Clojure', ['project.clj', 'deps.edn']],
  ['.NET', ['.csproj', '.fsproj', '.vbproj', '.sln', '.slnx']],
  ['Dart', ['pubspec.yaml']],
  ['Swift', ['Package.swift']],
  ['Crystal', ['shard.yml']],
  ['Gleam', ['gleam.toml']],
  ['Erlang', ['rebar.config']],
  ['Haskell', ['stack.yaml', 'cabal.project', '.cabal']],
  ['OCaml', ['dune-project']],
  ['Zig', ['build.zig']],
  ['Nim', ['.nimble']],
  ['Perl', ['cpanfile', 'Makefile.PL']],
  ['Julia', ['Project.toml']],
  ['R', ['renv.lock', 'app.R', 'server.R']],
  ['Deno', ['deno.json', 'deno.jsonc', 'deno.lock']],
  ['C or C++', ['CMakeLists.txt', 'meson.build']],
]

/** Beside a package.json these are for what its packages are compiled with, or for tools. */
const ASIDE = ['Deno', 'C or C++', 'R', 'Julia', 'Perl']

/**
 * It is of a language that Longshore does not build.
 *
 * @param isBesideNode whether there is a package.json: the other language is then named only where it is the program's
 */
export function otherLanguage(tree: Tree, isBesideNode: boolean): Problem | null {
  const endings = [...tree.paths].flatMap((path) => /^[^/]+(\.\w+)$/.exec(path)?.[1] ?? [])
  for (const [language, files] of LANGUAGES) {
    if (isBesideNode && ASIDE.includes(language)) continue
    const found =
      present(tree, files)[0] ?? files.find((file) => endings.includes(file) && /^\.[a-z]+$/.test(file))
    if (found === undefined) continue
    const by = found.startsWith('.') ? `a ${found} file` : found
    return {
      problem: `this is ${language} (${by}), which Longshore builds only with a Dockerfile: add a Dockerfile`,
    }
  }
  return null
}
