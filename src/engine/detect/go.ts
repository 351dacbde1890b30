import {
  ASSIGNMENT,
  type Detector,
  NEVER_SENT,
  ownFolder,
  present,
  procfileCommand,
  runs,
  stages,
  type Tree,
  USER,
  withVersion,
} from './recipe.js'

const PORT = 8080
const PROGRAM = '/usr/local/bin/app'
/** The name that a command calls its program by, and what stands before it. */
const CALLED = new RegExp(String.raw`^((?:exec\s+)?(?:env\s+)?(?:${ASSIGNMENT}\s+)*)\S+`)

export const detectGo: Detector = (tree, images) => {
  if (!tree.paths.has('go.mod')) return null
  const program = programOf(tree)
  if (program === null) {
    return {
      problem: 'go.mod is there, and no main package in its folder, nor one alone in cmd/: add a Dockerfile',
    }
  }
  const isVendored = tree.paths.has('vendor/')
  const manifests = present(tree, ['go.mod', 'go.sum']).join(' ')
  const build = [
    `FROM ${withVersion(images.go, '1')} AS build`,
    'WORKDIR /src',
    ...(isVendored ? [] : [`COPY ${manifests} ./`, 'RUN go mod download']),
    'COPY . .',
    `RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/app ${program}`,
  ]
  return {
    language: 'Go',
    because: present(tree, ['go.mod', 'go.sum', 'Procfile']),
    dockerfile: stages(build, programStage(images.runtime, tree)),
    ignore: NEVER_SENT,
  }
}

/** `.` or the one folder in cmd/; of several the one whose name says that it serves. */
function programOf(tree: Tree): string | null {
  const isMain = ([path, text]: [string, string]) => /^[^/]+\.go$/.test(path) && /^package main\b/m.test(text)
  if ([...tree.texts].some(isMain)) return '.'
  const names = [...tree.paths].flatMap((path) => /^cmd\/([\w.-]+)\/$/.exec(path)?.[1] ?? [])
  const module = /^module\s+\S*?([\w.-]+)\s*$/m.exec(tree.texts.get('go.mod') ?? '')?.[1] ?? ''
  const usual = [module, 'server', 'web', 'api', 'app', 'main'].find((name) => names.includes(name))
  const name = names.length === 1 ? names[0] : usual
  return name === undefined ? null : `./cmd/${name}`
}

/**
 * A stage with one program of the stage `build`, and the repository's files beside it, where templates and pages are
 * looked for. Certificates come from the build's image: slim images have none.
 */
export function programStage(image: string, tree: Tree): string[] {
  // A Procfile names the program as it is called elsewhere.
  const command = procfileCommand(tree)?.replace(CALLED, (_, before: string) => `${before}${PROGRAM}`)
  return [
    `FROM ${image}`,
    ...ownFolder(),
    'COPY --from=build /etc/ssl/certs /etc/ssl/certs',
    `COPY --chown=${USER} . .`,
    `COPY --from=build /out/app ${PROGRAM}`,
    ...runs(PORT, command ?? [PROGRAM]),
  ]
}
