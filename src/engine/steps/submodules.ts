import { CommandError } from '../command-error.js'
import { DeployError } from '../errors.js'
import { type Contents, MAX_PATH, type Remote, type Source, type TreeEntry } from '../git/git.js'
import { checkRepoUrl } from '../names.js'
import { secretsOf } from '../repositories/credential.js'
import { remoteOf } from '../repositories/remote.js'
import { originOf } from '../repository-url.js'
import type { Services } from '../services.js'
import { checkCount, type ContextFiles, listContext } from './context-files.js'
import type { DeploymentRun } from './deployment-run.js'
import { resolveUrl, urlsIn } from './gitmodules.js'
import { retryLine, retryOutages } from './retry-outages.js'

const GITMODULES = '.gitmodules'
const MAX_DEPTH = 5
const MAX_MODULES = 50
/** Begins the id of an entry that is of a submodule, before its number and the id that it has there. */
export const MODULE_ID = 'module '

/** A repository whose submodules are looked for. */
interface Parent {
  readonly source: Source
  readonly repoUrl: string
  /** Where its files are in the context, and which of its folders is the context. */
  readonly place: string
  readonly folder: string
  readonly files: ContextFiles
  readonly depth: number
}

/** A commit with the files of its submodules. */
export interface Whole {
  readonly files: ContextFiles
  /** Reads the contents of all of them. */
  readonly source: Source
}

/**
 * Fetches the submodules of a context, and theirs, by the rules of the app's URL and, on its host, with its credential.
 *
 * @param isLeft whether the build leaves a path out: what it does not take is not fetched
 * @throws DeployError SUBMODULE_UNAVAILABLE with the path and the URL of one
 */
export async function withSubmodules(
  run: DeploymentRun,
  { source, files, isLeft }: Whole & { readonly isLeft: (path: string) => boolean },
  services: Services,
): Promise<Whole> {
  const isTaken = (entry: TreeEntry) => isModule(entry) && !isLeft(entry.path)
  const isNeeded = [...files.values()].some(isTaken) && (await textOf(source, run.signal)) !== ''
  if (!isNeeded) return { source, files }
  const remote = await remoteOf(services, run.app)
  run.log.hide(secretsOf(remote.credential))
  const folder = run.configuration.build.contextPath
  const search: Search = { remote, isLeft, all: new Map(files), modules: [] }
  const parents: Parent[] = [{ source, repoUrl: remote.repoUrl, place: '', folder, files, depth: 0 }]
  for (let parent = parents.pop(); parent; parent = parents.pop()) {
    parents.push(...(await addModules(run, { search, parent }, services)))
  }
  const { all, modules } = search
  const contents = (signal: AbortSignal) => contentsOf(source, modules, signal)
  return { files: all, source: { ...source, contents } }
}

interface Search {
  /** The app's. */
  readonly remote: Remote
  readonly isLeft: (path: string) => boolean
  /** What was found, by path below the context, and the submodules by their numbers. */
  readonly all: Map<string, TreeEntry>
  readonly modules: Source[]
}

/** Adds those of one repository; gives them, for theirs to be looked for. */
async function addModules(
  run: DeploymentRun,
  { search, parent }: { readonly search: Search; readonly parent: Parent },
  services: Services,
): Promise<Parent[]> {
  const { all, modules, remote } = search
  const entries = [...parent.files.values()].filter(
    (entry) => isModule(entry) && !search.isLeft(parent.place + entry.path),
  )
  if (entries.length === 0) return []
  const urls = urlsIn(await textOf(parent.source, run.signal))
  const added: Parent[] = []
  for (const entry of entries) {
    const named = urls.get(parent.folder === '.' ? entry.path : `${parent.folder}/${entry.path}`)
    if (named === undefined) continue // which the log says
    const [path, number] = [parent.place + entry.path, modules.length]
    const url = resolveUrl(parent.repoUrl, named)
    if (parent.depth >= MAX_DEPTH || number >= MAX_MODULES) throw tooMany(path, url)
    const source = await fetchModule(run, { path, url, entry, remote, number }, services)
    modules.push(source)
    const files = await listContext(source, { folder: '.', ...services.settings }, run.signal)
    all.set(path, { ...entry, path, kind: 'folder' })
    for (const file of files.values()) all.set(`${path}/${file.path}`, inModule(file, path, number))
    checkCount(all.size, services.settings.maxContextFiles)
    added.push({ source, repoUrl: url, place: `${path}/`, folder: '.', files, depth: parent.depth + 1 })
  }
  return added
}

function isModule({ kind }: TreeEntry): boolean {
  return kind === 'submodule'
}

async function textOf(source: Source, signal: AbortSignal): Promise<string> {
  const kinds = await source.kindsOf([GITMODULES], signal)
  return kinds.get(GITMODULES) === 'file' ? source.read(GITMODULES, signal) : ''
}

function inModule(file: TreeEntry, path: string, number: number): TreeEntry {
  if (Buffer.byteLength(path) + file.path.length > MAX_PATH) {
    const message = `the submodule "${path}" has paths of more than ${MAX_PATH} bytes below it: no system can check it out`
    throw new DeployError('REPO_INVALID', message)
  }
  const rawPath = file.rawPath && Buffer.concat([Buffer.from(`${path}/`), file.rawPath])
  return { ...file, path: `${path}/${file.path}`, rawPath, id: `${MODULE_ID}${number}:${file.id}` }
}

interface Module {
  readonly path: string
  readonly url: string
  readonly entry: TreeEntry
  /** The app's. */
  readonly remote: Remote
  readonly number: number
}

async function fetchModule(
  { deployment, log, signal }: DeploymentRun,
  { path, url, entry, remote, number }: Module,
  { git, settings }: Services,
): Promise<Source> {
  try {
    const repoUrl = checkRepoUrl('url', url, settings.allowFileRepos)
    const isSameOrigin = originOf(repoUrl) !== null && originOf(repoUrl) === originOf(remote.repoUrl)
    log.system(`Fetching the submodule ${path} from ${repoUrl} at ${entry.id}`)
    const request = {
      repoUrl,
      credential: isSameOrigin ? remote.credential : null,
      ref: entry.id,
      deploymentId: `${deployment.id}.${number}`,
      onProgress: () => undefined,
      onNewHost: (host: string, fingerprint: string) =>
        log.system(`Trusting the SSH host ${host}, seen for the first time, by its key ${fingerprint}`),
    }
    return await retryOutages(() => git.fetch(request, signal), {
      forMs: settings.fetchRetryMs,
      onRetry: (failed) => log.system(retryLine(failed)),
      signal,
    })
  } catch (error) {
    if (!(error instanceof DeployError || error instanceof CommandError)) throw error
    const shown = /:\/\/.*@/.test(url) ? 'its URL' : url
    throw unavailable(path, shown, error)
  }
}

function unavailable(path: string, url: string, cause: Error): DeployError {
  const lines = cause instanceof DeployError ? { lastLines: cause.lastLines } : {}
  const advice =
    "check .gitmodules; the app's credential is used on its own host only, and a deploy key opens one repository on most forges"
  const message = `the submodule "${path}" from ${url} cannot be read: ${cause.message} (${advice})`
  return new DeployError('SUBMODULE_UNAVAILABLE', message, { cause, ...lines })
}

function tooMany(path: string, url: string): DeployError {
  const message = `the submodule "${path}" from ${url} is one too many: at most ${MAX_MODULES} are fetched, at most ${MAX_DEPTH} deep`
  return new DeployError('SUBMODULE_UNAVAILABLE', message)
}

/** Opened as they are needed: each is a program. */
function contentsOf(own: Source, modules: readonly Source[], signal: AbortSignal): Contents {
  const opened = new Map<number, Contents>()
  const open = (number: number) => {
    const known = opened.get(number) ?? (modules[number] ?? own).contents(signal)
    opened.set(number, known)
    return known
  }
  return {
    read(id) {
      const [, number, rest] = /^module (\d+):(.*)$/s.exec(id) ?? []
      return rest === undefined ? open(-1).read(id) : open(Number(number)).read(rest)
    },
    [Symbol.dispose]() {
      for (const contents of opened.values()) contents[Symbol.dispose]()
    },
  }
}
