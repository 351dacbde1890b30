import {
  ASSIGNMENT,
  type Detector,
  linesOf,
  NEVER_SENT,
  homeFolder,
  present,
  type Problem,
  procfileCommand,
  runInstructions,
  stages,
  type Tree,
  USER,
  withVersion,
} from './detected-build.js'

const PORT = 8080
export const PROGRAM = '/usr/local/bin/app'
/** The name that a command calls its program by, and what stands before it. */
const CALLED = new RegExp(String.raw`^((?:exec\s+)?(?:env\s+)?(?:${ASSIGNMENT}\s+)*)\S+`)

/** Frameworks that listen on 127.0.0.1 unless they are told otherwise. */
const REACHABLE = ['ENV HOST=0.0.0.0 ROCKET_ADDRESS=0.0.0.0']

const LIBRARIES = '/usr/local/lib/app'

/**
 * The shared libraries of a program, for an image that may not have them (libssl), but not those of the C library, which
 * have to be the ones of the image's loader. A program without any gets none, and so does one in an image without `ldd`.
 */
export const COLLECT_LIBRARIES =
  "RUN mkdir /out/lib && for file in $(ldd /out/app 2>/dev/null | awk '/=> \\// { print $3 }' | grep -Ev '/lib(anl|c|dl|m|mvec|pthread|resolv|rt|util)\\.so'); do cp -L \"$file\" /out/lib/; done"

export const detectGo: Detector = (tree, images) => {
  const manifests = present(tree, ['go.mod', 'go.sum'])
  if (!manifests.includes('go.mod') && !tree.paths.has('go.work')) return null
  const program = programOf(tree)
  if (typeof program !== 'string') return program
  const module = [...tree.texts].flatMap(([path, text]) => (path.endsWith('go.mod') ? [text] : [])).join('\n')
  // A replacement by a folder of the repository is read for the list of packages as well.
  const together = tree.paths.has('vendor/') || tree.paths.has('go.work') || /=>[ \t]*\.{0,2}\//.test(module)
  // It is C, of which a program without cgo has only an error.
  const isLinked = /\bgo-sqlite3\b/.test(module)
  const go = `CGO_ENABLED=${isLinked ? 1 : 0} go`
  const build = [
    `FROM ${withVersion(images.go, '1')} AS build`,
    'WORKDIR /src',
    ...(together
      ? [`RUN ${go} build -trimpath std || true`]
      : [`COPY ${manifests.join(' ')} ./`, 'RUN go mod download', compiledFirst(go)]),
    'COPY . .',
    `RUN ${go} build -trimpath -ldflags="-s -w" -o /out/app ${program}`,
    ...(isLinked ? [COLLECT_LIBRARIES] : []),
  ]
  return {
    language: 'Go',
    notes: [`Go: the version of ${images.go}`],
    detectedBy: present(tree, ['go.mod', 'go.work', 'go.sum', 'Procfile']),
    dockerfile: stages(build, programStage(images.runtime, tree, { isLinked })),
    ignore: NEVER_SENT,
  }
}

/**
 * The standard library and the packages that the module names, in a layer that stays while go.mod does. It only saves
 * time: what cannot be compiled here, such as a module without a package of its own name, is left to the program's build.
 */
function compiledFirst(go: string): string {
  const direct = "go list -m -f '{{if not (or .Main .Indirect)}}{{.Path}}{{end}}' all"
  const packages = `${go} list -e -f '{{if .GoFiles}}{{.ImportPath}}{{end}}' std $(${direct})`
  return `RUN ${packages} | xargs env ${go} build -trimpath || true`
}

/** The folder of the main package: the root, `cmd/`, one of cmd/ or the only one; of several one whose name says that it serves. */
function programOf(tree: Tree): string | Problem {
  const isMain = (text: string | undefined) => /^package main\b/m.test(text ?? '')
  const inRoot = [...tree.texts].some(([path, text]) => /^[^/]+\.go$/.test(path) && isMain(text))
  if (inRoot) return '.'
  if (isMain(tree.texts.get('cmd/main.go'))) return './cmd'
  const named = [...tree.paths].flatMap((path) => /^cmd\/([\w.-]+)\/$/.exec(path)?.[1] ?? [])
  const below = [...tree.texts].flatMap(([path, text]) =>
    isMain(text) ? (/^((?:[\w.-]+\/)+)main\.go$/.exec(path)?.[1]?.slice(0, -1) ?? []) : [],
  )
  const own = ownName(tree)
  const usual = [own, 'server', 'web', 'api', 'app', 'main'].find((name) => named.includes(name))
  const name = named.length === 1 ? named[0] : usual
  if (name !== undefined) return `./cmd/${name}`
  const isServer = (path: string) =>
    [own, 'server', 'web', 'api', 'app'].includes(path.slice(path.lastIndexOf('/') + 1))
  const [only] = below.length === 1 ? below : below.filter(isServer)
  if (only !== undefined) return `./${only}`
  const many = below.length > 1 || named.length > 1
  const list = (named.length > 1 ? named.map((one) => `cmd/${one}`) : below).sort().slice(0, 10).join(', ')
  return {
    problem: many
      ? `there are several main packages (${list}), and nothing says which one serves: name a folder cmd/server, or add a Dockerfile`
      : 'there is a go.mod, but no main package in its folder, in cmd/ or below: add a Dockerfile',
  }
}

function ownName(tree: Tree): string {
  const module = linesOf(tree.texts.get('go.mod') ?? '').find((line) => /^module[ \t]/.test(line)) ?? ''
  return module.slice(Math.max(module.lastIndexOf('/'), module.lastIndexOf(' ')) + 1)
}

/**
 * A stage with one program of the stage `build`, and the repository's files beside it, where templates and pages are
 * looked for. Certificates come from the build's image: slim images have none.
 */
export function programStage(
  image: string,
  tree: Tree,
  { isLinked, command = [PROGRAM] }: { isLinked: boolean; command?: string | readonly string[] | undefined },
): string[] {
  // A Procfile names the program as it is called elsewhere.
  const asked = procfileCommand(tree)?.replace(CALLED, (_, before: string) => `${before}${PROGRAM}`)
  return [
    `FROM ${image}`,
    ...homeFolder(),
    'COPY --from=build /etc/ssl/certs /etc/ssl/certs',
    `COPY --chown=${USER} . .`,
    `COPY --from=build /out/app ${PROGRAM}`,
    ...(isLinked ? [`COPY --from=build /out/lib/ ${LIBRARIES}/`, `ENV LD_LIBRARY_PATH=${LIBRARIES}`] : []),
    ...REACHABLE,
    ...runInstructions(PORT, asked ?? command),
  ]
}
