import { filterContext } from '../docker/build-context.js'
import type { BuildContext, ContextEntry, Contents } from '../docker/docker.js'
import type { Source } from '../git/git.js'
import type { BuildPlan } from './plan-build.js'

const IGNORE_FILE = '.dockerignore'

/** What a build is made of: files of a commit, straight from the mirror, and those that are written for it. */
export function contextOf(source: Source, contextPath: string, plan: BuildPlan): BuildContext {
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
    tar: (signal) => {
      const { keeps, before } = forClassic(plan)
      const archive = source.archive(contextPath, signal)
      const context = filterContext(keeps, before)
      archive.on('error', (error) => context.destroy(error))
      context.once('close', () => archive.destroy())
      return archive.pipe(context)
    },
  }
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
  const path = dockerfile?.path
  const hides = path !== undefined && !sent.has(path) && ignoreFile !== IGNORE_FILE
  const isSent = (one: string) =>
    one === IGNORE_FILE ? ignoreFile === IGNORE_FILE || (!hides && sent.has(one)) : sent.has(one)
  const names = [IGNORE_FILE, path ?? ''].map((one) => `/${one.replace(/[*?[\]\\]/g, '\\$&')}\n`)
  return {
    keeps: (one) => one === path || isSent(one),
    before: hides ? new Map([...written, [IGNORE_FILE, names.join('')]]) : written,
  }
}
