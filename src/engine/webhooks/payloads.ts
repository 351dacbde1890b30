import { Forge } from '../../entities/forge.js'
import {
  commitId,
  field,
  type ForgeEvent,
  listAt,
  type Push,
  splitRef,
  textAt,
  UnreadableError,
} from './push.js'

/** GitHub lists at most so many commits of a push. */
const GITHUB_COMMITS = 2048
/** A list of a commit's files that is as long as this was cut by the forge. */
const CUT_FILES = 3000
/** Changes of one delivery of Bitbucket that are looked at. */
const MAX_CHANGES = 50

/** What a forge has sent. */
export interface DeliveryContent {
  readonly forge: Forge
  /** As {@link identify} found it. */
  readonly event: string
  readonly contentType: string
  readonly body: Buffer
}

/** Reads a genuine delivery. Nothing in it is believed to have the type that the forge documents. */
export function readEvent(content: DeliveryContent): ForgeEvent {
  try {
    return eventIn(content)
  } catch (error) {
    if (error instanceof UnreadableError) return { kind: 'unreadable', why: error.message }
    throw error
  }
}

/** @throws UnreadableError */
function eventIn({ forge, event, contentType, body }: DeliveryContent): ForgeEvent {
  const payload = readJson(contentType, body)
  switch (forge) {
    case Forge.GITHUB:
    case Forge.GITEA:
      if (event === 'ping') return { kind: 'ping' }
      return event === 'push' ? pushed(fromGitHub(payload)) : other(event)
    case Forge.GITLAB:
      return fromGitLab(payload)
    case Forge.BITBUCKET:
      return fromBitbucket(event, payload)
    case Forge.GENERIC:
      return textAt(payload, 'event') === 'ping' ? { kind: 'ping' } : pushed(fromGitHub(payload))
  }
}

const pushed = (...pushes: readonly Push[]): ForgeEvent => ({ kind: 'push', pushes })
const other = (what: string): ForgeEvent => ({ kind: 'other', what })

/** The JSON in the field `payload` of a form, as GitHub and Gitea send it when they are asked to. Null: there is none. */
export function formPayload(contentType: string, body: Buffer): string | null {
  return isForm(contentType) ? new URLSearchParams(body.toString('utf8')).get('payload') : null
}

function isForm(contentType: string): boolean {
  return /^application\/x-www-form-urlencoded\b/i.test(contentType)
}

function readJson(contentType: string, body: Buffer): unknown {
  const text = isForm(contentType) ? formPayload(contentType, body) : body.toString('utf8')
  if (text === null) throw new UnreadableError('the form has no field "payload"')
  let payload: unknown
  try {
    payload = JSON.parse(text)
  } catch {
    throw new UnreadableError('the body is not JSON')
  }
  if (typeof payload === 'object' && payload !== null && !Array.isArray(payload)) return payload
  throw new UnreadableError('the body is not a JSON object')
}

/** GitHub's form, which Gitea and Forgejo send as well; of the generic form `ref` and `after` are enough. */
function fromGitHub(payload: unknown): Push {
  const named = splitRef(field(payload, 'ref'))
  if (field(payload, 'after') === undefined) throw new UnreadableError('the push has no "after"')
  const sha = commitId(field(payload, 'after'))
  // An annotated tag is an object of its own: what is deployed is the commit that it names.
  const tagged = named.kind === 'tag' && sha !== null ? commitId(field(payload, 'head_commit', 'id')) : null
  const before = commitId(field(payload, 'before'))
  const total = field(payload, 'total_commits') // Gitea's; it lists no more than a few
  // Of a forced push the commits that are gone are not listed.
  const isListed = before !== null && field(payload, 'forced') !== true
  return {
    ...named,
    sha: tagged ?? sha,
    before,
    hasBefore: (field(payload, 'before') ?? null) !== null,
    message: textAt(payload, 'head_commit', 'message') ?? messageOf(payload, sha),
    changedPaths: isListed ? changedPaths(payload, typeof total === 'number' ? total : null) : null,
    defaultBranch: textAt(payload, 'repository', 'default_branch'),
  }
}

function fromGitLab(payload: unknown): ForgeEvent {
  const kind = textAt(payload, 'object_kind') ?? textAt(payload, 'event_name') ?? ''
  if (kind !== 'push' && kind !== 'tag_push') return other(kind)
  if (field(payload, 'after') === undefined) throw new UnreadableError('the push has no "after"')
  const after = commitId(field(payload, 'after'))
  const before = commitId(field(payload, 'before'))
  const total = field(payload, 'total_commits_count')
  return pushed({
    ...splitRef(field(payload, 'ref')),
    // Of an annotated tag `after` is the tag's own object. Null where it was deleted.
    sha: after === null ? null : (commitId(field(payload, 'checkout_sha')) ?? after),
    before,
    hasBefore: (field(payload, 'before') ?? null) !== null,
    message: messageOf(payload, after),
    changedPaths: before !== null && typeof total === 'number' ? changedPaths(payload, total) : null,
    defaultBranch: textAt(payload, 'project', 'default_branch'),
  })
}

/** Bitbucket tells of several branches at once, lists no files and does not say which branch is the default one. */
function fromBitbucket(event: string, payload: unknown): ForgeEvent {
  if (event === 'diagnostics:ping') return { kind: 'ping' }
  if (event === 'repo:push') return pushed(...changes(listAt(payload, 'push', 'changes')).map(cloudChange))
  if (event !== 'repo:refs_changed') return other(event)
  return pushed(
    ...changes(listAt(payload, 'changes')).map((change) => serverChange(change, field(payload, 'toCommit'))),
  )
}

function changes(list: readonly unknown[] | null): readonly unknown[] {
  if (list === null) throw new UnreadableError('the push has no list of changes')
  return list.slice(0, MAX_CHANGES)
}

function cloudChange(change: unknown): Push {
  const present = field(change, 'new') ?? null
  const named = present ?? field(change, 'old')
  const folder = textAt(named, 'type') === 'branch' ? 'heads' : 'tags'
  return {
    ...splitRef(`refs/${folder}/${textAt(named, 'name') ?? ''}`),
    sha: commitId(field(present, 'target', 'hash')),
    before: commitId(field(change, 'old', 'target', 'hash')),
    hasBefore: true,
    message: textAt(present, 'target', 'message'),
    changedPaths: null,
    defaultBranch: null,
  }
}

function serverChange(change: unknown, toCommit: unknown): Push {
  const sha = commitId(field(change, 'toHash'))
  return {
    ...splitRef(field(change, 'ref', 'id')),
    sha,
    before: commitId(field(change, 'fromHash')),
    hasBefore: (field(change, 'fromHash') ?? null) !== null,
    message: textAt(toCommit, 'id') === sha ? textAt(toCommit, 'message') : null,
    changedPaths: null,
    defaultBranch: null,
  }
}

/** Of the commit that the branch points to now. */
function messageOf(payload: unknown, sha: string | null): string | null {
  const found = listAt(payload, 'commits')?.find((commit) => textAt(commit, 'id') === sha)
  return textAt(found, 'message')
}

/** Null where the forge has left commits or files out, or lists none: then anything may have changed. */
function changedPaths(payload: unknown, total: number | null): readonly string[] | null {
  const commits = listAt(payload, 'commits') ?? []
  if (commits.length >= GITHUB_COMMITS || (total !== null && commits.length < total)) return null
  const paths = new Set<string>()
  for (const commit of commits) {
    for (const name of ['added', 'removed', 'modified']) {
      const files = listAt(commit, name)
      if (files === null || files.length >= CUT_FILES) return null
      if (!files.every((path) => typeof path === 'string')) return null
      for (const path of files) paths.add(path)
    }
  }
  return paths.size === 0 ? null : [...paths]
}
