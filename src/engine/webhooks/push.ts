/** What a forge says of one branch or tag that was pushed; the same for all forges. */
export interface Push {
  readonly kind: 'branch' | 'tag'
  /** As the forge names it: `refs/heads/feature/x`. */
  readonly ref: string
  /** The branch or tag: `feature/x`. */
  readonly name: string
  /** Full id of the commit it points to now. Null: it was deleted. */
  readonly sha: string | null
  /** What it pointed to before; null: it is new, or the forge does not say. */
  readonly before: string | null
  /** Whether the forge says what it pointed to before, if only that it is new. */
  readonly hasBefore: boolean
  /** Of the commit it points to now; null: the forge does not say. */
  readonly message: string | null
  /** Every path that the push changes; null: the forge does not list them all. */
  readonly changedPaths: readonly string[] | null
  /** The repository's; null: the forge does not say. */
  readonly defaultBranch: string | null
}

/** What a delivery is about. */
export type ForgeEvent =
  | { readonly kind: 'ping' }
  | { readonly kind: 'push'; readonly pushes: readonly Push[] }
  /** Something that deploys nothing. */
  | { readonly kind: 'other'; readonly what: string }
  /** Not what the forge documents. */
  | { readonly kind: 'unreadable'; readonly why: string }

/** A delivery that is not what its forge documents. The message says what is wrong, for whoever reads the log. */
export class UnreadableError extends Error {
  override name = 'UnreadableError'
  readonly code = 'UNREADABLE'
}

const MAX_REF_LENGTH = 255
/** A full commit id of git's SHA-1 repositories, the only ones that are fetched. */
const COMMIT = /^[0-9a-f]{40}$/
const ZEROS = /^0{40,64}$/

/** A branch or tag by its full name. @throws UnreadableError for anything else */
export function splitRef(ref: unknown): Pick<Push, 'kind' | 'ref' | 'name'> {
  const match = typeof ref === 'string' ? /^refs\/(heads|tags)\/([^\p{Cc}\p{Cs} ]+)$/u.exec(ref) : null
  if (!match?.[2] || match[0].length > MAX_REF_LENGTH) {
    throw new UnreadableError('its ref is not refs/heads/{branch} or refs/tags/{tag}')
  }
  return { kind: match[1] === 'heads' ? 'branch' : 'tag', ref: match[0], name: match[2] }
}

/** Null: nothing, as forges write it. @throws UnreadableError for anything but a full commit id */
export function commitId(value: unknown): string | null {
  if (value === null || value === undefined || (typeof value === 'string' && ZEROS.test(value))) return null
  if (typeof value === 'string' && COMMIT.test(value)) return value
  throw new UnreadableError('a commit id is not 40 hex digits')
}

/** A field of a JSON object; undefined where there is none, whatever `value` is. */
export function field(value: unknown, ...path: readonly string[]): unknown {
  let found = value
  for (const name of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined
    found = (found as Record<string, unknown>)[name]
  }
  return found
}

export function textAt(value: unknown, ...path: readonly string[]): string | null {
  const found = field(value, ...path)
  return typeof found === 'string' ? found : null
}

export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] | null {
  const found = field(value, ...path)
  return Array.isArray(found) ? found : null
}
