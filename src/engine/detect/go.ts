import {
  ASSIGNMENT,
  type Detector,
  linesOf,
  NEVER_SENT,
  homeFolder,
  present,
  procfileCommand,
  runInstructions,
  stages,
  type Tree,
  USER,
  withVersion,
} from './detected-build.js'

const PORT = 8080
const PROGRAM = '/usr/local/bin/app'
/** The name that a command calls its program by, and what stands before it. */
const CALLED = new RegExp(String.raw`^((?:exec\s+)?(?:env\s+)?(?:${ASSIGNMENT}\s+)*)\S+`)

const LIBRARIES = '/usr/local/lib/app'

/**
 * The shared libraries of a program, for an image that may not have them (libssl), but not those of the C library, which
 * have to be the ones of the image's loader. A program without any gets none, and so does one in an image without `ldd`.
 */
export const COLLECT_LIBRARIES =
  "RUN mkdir /out/lib && for file in $(ldd /out/app 2>/dev/null | awk '/=> \\// { print $3 }' | grep -Ev '/lib(anl|c|dl|m|mvec|pthread|resolv|rt|util)\\.so'); do cp -L \"$file\" /out/lib/; done"

export const detectGo: Detector = (tree, images) => {
  if (!tree.paths.has('go.mod')) return null
  const program = programOf(tree)
  if (program === null) {
    return {
      problem:
        'there is a go.mod, but no main package in its folder and no single one in cmd/: add a Dockerfile',
    }
  }
  const module = tree.texts.get('go.mod') ?? ''
  // A replacement by a folder of the repository is read for the list of packages as well.
  const together = tree.paths.has('vendor/') || /=>[ \t]*\.{0,2}\//.test(module)
  const manifests = present(tree, ['go.mod', 'go.sum']).join(' ')
  // It is C, of which a program without cgo has only an error.
  const isLinked = /\bgo-sqlite3\b/.test(module)
  const build = [
    `FROM ${withVersion(images.go, '1')} AS build`,
    'WORKDIR /src',
    ...(together ? [] : [`COPY ${manifests} ./`, 'RUN go mod download']),
    'COPY . .',
    `RUN CGO_ENABLED=${isLinked ? 1 : 0} go build -trimpath -ldflags="-s -w" -o /out/app ${program}`,
    ...(isLinked ? [COLLECT_LIBRARIES] : []),
  ]
  return {
    language: 'Go',
    notes: [`Go: the version of ${images.go}`],
    detectedBy: present(tree, ['go.mod', 'go.sum', 'Procfile']),
    dockerfile: stages(build, programStage(images.runtime, tree, isLinked)),
    ignore: NEVER_SENT,
  }
}

/** `.` or the one folder in cmd/; of several the one whose name says that it serves. */
function programOf(tree: Tree): string | null {
  const isMain = ([path, text]: [string, string]) => /^[^/]+\.go$/.test(path) && /^package main\b/m.test(text)
  if ([...tree.texts].some(isMain)) return '.'
  const names = [...tree.paths].flatMap((path) => /^cmd\/([\w.-]+)\/$/.exec(path)?.[1] ?? [])
  const module = linesOf(tree.texts.get('go.mod') ?? '').find((line) => /^module[ \t]/.test(line)) ?? ''
  const own = module.slice(Math.max(module.lastIndexOf('/'), module.lastIndexOf(' ')) + 1)
  const usual = [own, 'server', 'web', 'api', 'app', 'main'].find((name) => names.includes(name))
  const name = names.length === 1 ? names[0] : usual
  return name === undefined ? null : `./cmd/${name}`
}

/**
 * A stage with one program of the stage `build`, and the repository's files beside it, where templates and pages are
 * looked for. Certificates come from the build's image: slim images have none.
 */
export function programStage(image: string, tree: Tree, isLinked: boolean): string[] {
  // A Procfile names the program as it is called elsewhere.
  const command = procfileCommand(tree)?.replace(CALLED, (_, before: string) => `${before}${PROGRAM}`)
  return [
    `FROM ${image}`,
    ...homeFolder(),
    'COPY --from=build /etc/ssl/certs /etc/ssl/certs',
    `COPY --chown=${USER} . .`,
    `COPY --from=build /out/app ${PROGRAM}`,
    ...(isLinked ? [`COPY --from=build /out/lib/ ${LIBRARIES}/`, `ENV LD_LIBRARY_PATH=${LIBRARIES}`] : []),
    ...runInstructions(PORT, command ?? [PROGRAM]),
  ]
}
