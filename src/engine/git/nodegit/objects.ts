import { type Context, Fatal } from './command.js'
import type { Repository } from './library.js'
import { entriesIn, type Entry } from './tree-object.js'

/** Types of objects, by the numbers that libgit2 has for them. */
const TYPES: ReadonlyMap<number, ObjectType> = new Map([
  [1, 'commit'],
  [2, 'tree'],
  [3, 'blob'],
  [4, 'tag'],
])

export type ObjectType = 'commit' | 'tree' | 'blob' | 'tag'

export interface GitObject {
  readonly type: ObjectType
  readonly bytes: Buffer
}

const FULL_ID = /^[0-9a-f]{40}$/
/** Of what is read, so much is held at most before it is collected: V8 does not know how much an object is. */
const COLLECT_BYTES = 32 * 1024 * 1024

/** Reads objects of a repository, whole. */
export class Objects {
  #read = 0

  static async open(context: Context): Promise<Objects> {
    const repository = await context.open()
    return new Objects(context, repository, await repository.odb())
  }

  private constructor(
    private readonly context: Pick<Context, 'nodegit'>,
    private readonly repository: Repository,
    private readonly database: Awaited<ReturnType<Repository['odb']>>,
  ) {}

  /** Null: there is no such object. */
  async find(id: string): Promise<GitObject | null> {
    if (!FULL_ID.test(id)) return null
    const found = await this.database.read(this.context.nodegit.Oid.fromString(id)).catch((error: Error) => {
      if (/object not found/.test(error.message)) return null
      throw error
    })
    if (found === null) return null
    const size = found.size()
    this.#collect(size)
    const type = TYPES.get(found.type())
    if (!type) throw new Fatal(`object ${id} is of no known type`)
    return { type, bytes: found.data()?.toBuffer(size) ?? Buffer.alloc(0) }
  }

  /** @throws Fatal where there is no such object */
  async get(id: string): Promise<GitObject> {
    const found = await this.find(id)
    if (!found) throw new Fatal(`unable to read ${id}`)
    return found
  }

  /** Entries of a tree. @throws Fatal with git's words for a tree that is broken */
  async tree(id: string): Promise<Entry[]> {
    const { type, bytes } = await this.get(id)
    if (type !== 'tree') throw new Fatal('not a tree object')
    return entriesIn(bytes)
  }

  /** The id that `refs/…`, an id, `…^{commit}`, `…^{tree}` or `…:path` stands for. @throws Fatal */
  async resolve(spec: string): Promise<string> {
    const [, base = spec, peeled] = /^(.*)\^\{(commit|tree)\}$/.exec(spec) ?? []
    if (peeled) return this.peel(await this.resolve(base), peeled as 'commit' | 'tree')
    const colon = spec.indexOf(':')
    if (colon >= 0) return this.#at(await this.resolve(spec.slice(0, colon)), spec.slice(colon + 1))
    if (FULL_ID.test(spec)) return spec
    const id = await this.context.nodegit.Reference.nameToId(this.repository, spec).catch(() => null)
    if (!id) throw notValid(spec)
    return id.tostrS()
  }

  /** What a tag, or a commit, stands for. @throws Fatal */
  async peel(id: string, wanted: 'commit' | 'tree'): Promise<string> {
    const { type, bytes } = await this.get(id)
    if (type === wanted) return id
    const field = type === 'tag' ? 'object' : type === 'commit' ? 'tree' : null
    const [, next] =
      new RegExp(`^${field} ([0-9a-f]{40})\\n`).exec(bytes.subarray(0, 64).toString('latin1')) ?? []
    if (field === null || !next) throw notValid(`${id}^{${wanted}}`)
    return this.peel(next, wanted)
  }

  async #at(id: string, path: string): Promise<string> {
    let at = await this.peel(id, 'tree')
    const names = path.split('/').filter(Boolean)
    for (const [index, name] of names.entries()) {
      const entry = (await this.tree(at)).find((one) => one.name.equals(Buffer.from(name)))
      const isLast = index === names.length - 1
      if (!entry || (!isLast && entry.type !== 'tree'))
        throw new Fatal(`path '${path}' does not exist in '${id}'`)
      at = entry.id
    }
    return at
  }

  #collect(bytes: number): void {
    this.#read += bytes
    if (this.#read < COLLECT_BYTES) return
    this.#read = 0
    globalThis.gc?.()
  }
}

function notValid(spec: string): Fatal {
  return new Fatal(`Not a valid object name ${spec}`)
}
