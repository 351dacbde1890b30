import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { filterContext } from '../docker/build-context.js'
import type { BuildContext, ContextEntry, Contents } from '../docker/docker.js'
import { tarHeader, tarPadding } from '../docker/tar-entry.js'
import { LFS_ID, type Source } from '../git/git.js'
import { OUTER_DOCKERFILE } from './find-dockerfile.js'
import type { BuildPlan } from './plan-build.js'
import { MODULE_ID } from './submodules.js'

const IGNORE_FILE = '.dockerignore'

/** What a build is made of: files of a commit, straight from the mirror, and those that are written for it. */
export function contextOf(contextPath: string, plan: BuildPlan): BuildContext {
  const { source } = plan
  const written = new Map<string, Buffer>()
  const entries = [...plan.written].map(([path, text]): ContextEntry => {
    const id = `written ${path}`
    written.set(id, Buffer.from(text))
    return { path, rawPath: null, kind: 'file', isExecutable: false, size: Buffer.byteLength(text), id }
  })
  return {
    entries: [...plan.sent.values()],
    dockerfileEntries: plan.dockerfile ? [plan.dockerfile] : entries,
    modifiedAt: source.committedAt,
    contents: (signal) => withWritten(source.contents(signal), written),
    tar: (signal) => tarOf(source, { contextPath, plan }, signal),
  }
}

/**
 * For the classic builder. What is not of the commit itself, objects of Git LFS and files of submodules, is in front, and
 * pointers are left out of what follows. Folders are made by what is in them.
 */
function tarOf(
  source: Source,
  { contextPath, plan }: { readonly contextPath: string; readonly plan: BuildPlan },
  signal: AbortSignal,
): Readable {
  const { keeps, before } = forClassic(plan)
  const entries = [...plan.sent.values(), ...(plan.dockerfile ? [plan.dockerfile] : [])]
  const isInFront = (entry: ContextEntry) => isFromElsewhere(entry) && keeps(entry.path)
  const objects = new Map(entries.filter(isInFront).map((entry) => [entry.path, entry]))
  const rest = () => {
    const archive = source.archive(contextPath, signal)
    const context = filterContext((path) => keeps(path) && !objects.has(path), before)
    archive.on('error', (error) => context.destroy(error))
    context.once('close', () => archive.destroy())
    return archive.pipe(context)
  }
  if (objects.size === 0) return rest()
  return Readable.from(withObjects(source, [...objects.values()], { rest, signal }), { objectMode: false })
}

function isFromElsewhere({ id, kind }: ContextEntry): boolean {
  return id.startsWith(LFS_ID) || (id.startsWith(MODULE_ID) && (kind === 'file' || kind === 'link'))
}

async function* withObjects(
  source: Source,
  objects: readonly ContextEntry[],
  { rest, signal }: { readonly rest: () => Readable; readonly signal: AbortSignal },
): AsyncGenerator<Buffer> {
  using contents = source.contents(signal)
  for (const { path, rawPath, kind, size, isExecutable, id } of objects) {
    const own = { path: rawPath ?? path, isExecutable, modifiedAt: source.committedAt }
    if (kind === 'link') {
      yield tarHeader({ ...own, target: await buffer(contents.read(id)), size: 0 })
      continue
    }
    yield tarHeader({ ...own, size })
    yield* contents.read(id)
    yield tarPadding(size)
  }
  yield* rest() as AsyncIterable<Buffer>
}

function withWritten(contents: Contents, written: ReadonlyMap<string, Buffer>): Contents {
  return {
    async *read(id) {
      const own = written.get(id)
      if (own) yield own
      else yield* contents.read(id)
    },
    [Symbol.dispose]: () => contents[Symbol.dispose](),
  }
}

/**
 * The classic builder needs the Dockerfile in the tar, and takes it out of the image where a `.dockerignore` in the tar
 * names it. The repository's own does where it is what was read; for that of a Dockerfile, which this builder does not
 * know, one is written.
 */
function forClassic({ sent, dockerfile, written, ignoreFile }: BuildPlan): {
  keeps: (path: string) => boolean
  before: ReadonlyMap<string, string>
} {
  const path = dockerfile?.path ?? (written.has(OUTER_DOCKERFILE) ? OUTER_DOCKERFILE : undefined)
  const hides = path !== undefined && !sent.has(path) && ignoreFile !== IGNORE_FILE
  const isSent = (one: string) =>
    one === IGNORE_FILE ? ignoreFile === IGNORE_FILE || (!hides && sent.has(one)) : sent.has(one)
  const names = [IGNORE_FILE, path ?? ''].map((one) => `/${one.replace(/[*?[\]\\]/g, '\\$&')}\n`)
  return {
    keeps: (one) => one === path || isSent(one),
    before: hides ? new Map([...written, [IGNORE_FILE, names.join('')]]) : written,
  }
}
