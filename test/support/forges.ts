import { createHmac, randomUUID } from 'node:crypto'

/** What a forge sends, in the form that its documentation publishes, signed with the secret as it does it. */
export interface Delivery {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface PushFacts {
  /** refs/heads/{branch} or refs/tags/{tag} */
  readonly ref: string
  readonly after: string
  readonly before?: string
  readonly message?: string
  readonly modified?: readonly string[]
  readonly defaultBranch?: string
  /** As many commits as the forge says there are; default: those that are listed. */
  readonly total?: number
  readonly forced?: boolean
}

export const NONE = '0'.repeat(40)
/** A commit id that is another for each number. */
export const sha = (number: number) => number.toString(16).padStart(40, 'a')

const hmac = (secret: string, body: string) => createHmac('sha256', secret).update(body).digest('hex')
const json = { 'content-type': 'application/json' }

function commitsOf({ after, message = 'Change', modified = ['README.md'] }: PushFacts) {
  if (after === NONE) return []
  const author = { name: 'Monalisa', email: 'mona@example.com', username: 'octocat' }
  const times = { timestamp: '2026-01-01T10:00:00+01:00', url: `https://git.example.com/c/${after}` }
  return [{ id: after, message, author, committer: author, ...times, added: [], removed: [], modified }]
}

/** GitHub's `push`. */
export function githubBody(facts: PushFacts): string {
  const { ref, after, before = sha(1), forced = false, defaultBranch = 'main' } = facts
  const commits = commitsOf(facts)
  return JSON.stringify({
    ref,
    before,
    after,
    created: before === NONE,
    deleted: after === NONE,
    forced,
    base_ref: null,
    commits,
    head_commit: commits[0] ?? null,
    repository: {
      id: 186853002,
      full_name: 'octo-org/shop',
      default_branch: defaultBranch,
      pushed_at: Math.random(),
    },
    pusher: { name: 'octocat', email: 'octocat@example.com' },
  })
}

export function github(secret: string, body: string, event = 'push', id: string = randomUUID()): Delivery {
  return {
    headers: {
      ...json,
      'x-github-event': event,
      'x-github-delivery': id,
      'x-github-hook-id': '292430182',
      'x-hub-signature-256': `sha256=${hmac(secret, body)}`,
    },
    body,
  }
}

/** The same push in a form, as GitHub sends it where the content type of the webhook is not JSON. */
export function githubForm(secret: string, payload: string): Delivery {
  const { headers, body } = github(secret, new URLSearchParams({ payload }).toString())
  return { headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' }, body }
}

/** Gitea sends GitHub's and Gogs' headers beside its own; Forgejo one more of each. */
export function gitea(secret: string, facts: PushFacts, name: 'gitea' | 'forgejo' = 'gitea'): Delivery {
  const { ref, after, before = sha(1), total, defaultBranch = 'main' } = facts
  const commits = commitsOf(facts)
  const body = JSON.stringify({
    ref,
    before,
    after,
    compare_url: '',
    commits,
    total_commits: total ?? commits.length,
    head_commit: commits[0] ?? null,
    repository: {
      id: 140,
      full_name: 'gitea/webhooks',
      default_branch: defaultBranch,
      updated_at: Math.random(),
    },
  })
  const id = randomUUID()
  const headers: Record<string, string> = { ...json }
  for (const sender of name === 'forgejo'
    ? ['forgejo', 'gitea', 'gogs', 'github']
    : ['gitea', 'gogs', 'github']) {
    headers[`x-${sender}-delivery`] = id
    headers[`x-${sender}-event`] = 'push'
    if (sender !== 'github') headers[`x-${sender}-signature`] = hmac(secret, body)
  }
  headers['x-hub-signature-256'] = `sha256=${hmac(secret, body)}`
  return { headers, body }
}

/** The same push in a form: Gitea signs the JSON in it, not the form. */
export function giteaForm(secret: string, facts: PushFacts): Delivery {
  const { headers, body } = gitea(secret, facts)
  const form = { ...headers, 'content-type': 'application/x-www-form-urlencoded' }
  return { headers: form, body: new URLSearchParams({ payload: body }).toString() }
}

/** GitLab's `Push Hook` and `Tag Push Hook`. */
export function gitlabBody(facts: PushFacts): string {
  const { ref, after, before = sha(1), total, defaultBranch = 'main' } = facts
  const kind = ref.startsWith('refs/tags/') ? 'tag_push' : 'push'
  const commits = commitsOf(facts)
  return JSON.stringify({
    object_kind: kind,
    event_name: kind,
    before,
    after,
    ref,
    checkout_sha: after === NONE ? null : after,
    project_id: 15,
    project: { id: 15, path_with_namespace: 'mike/diaspora', default_branch: defaultBranch },
    commits,
    total_commits_count: total ?? commits.length,
  })
}

/** With the secret as `X-Gitlab-Token`. */
export function gitlab(secret: string, body: string, id: string = randomUUID()): Delivery {
  const headers = {
    ...json,
    'x-gitlab-event': 'Push Hook',
    'x-gitlab-event-uuid': randomUUID(),
    'idempotency-key': id,
    'webhook-id': id,
    'x-gitlab-token': secret,
  }
  return { headers, body }
}

/** With a signing token: Standard Webhooks, at a time in seconds since 1970. */
export function gitlabSigned(secret: string, body: string, at = Math.floor(Date.now() / 1000)): Delivery {
  const id = randomUUID()
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const signature = createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64')
  const { 'x-gitlab-token': _unsigned, ...headers } = gitlab(secret, body, id).headers as Record<
    string,
    string
  >
  return {
    headers: { ...headers, 'webhook-timestamp': String(at), 'webhook-signature': `v1,${signature}` },
    body,
  }
}

/** Bitbucket Cloud's `repo:push`, of one or several branches. */
export function bitbucket(secret: string, pushes: readonly PushFacts[]): Delivery {
  const body = JSON.stringify({
    actor: { display_name: 'Emma', type: 'user' },
    repository: { type: 'repository', full_name: 'team/shop', scm: 'git', is_private: true },
    push: {
      changes: pushes.map(({ ref, after, before = sha(1), message = 'Change' }) => {
        const [, folder, ...name] = ref.split('/')
        const end = (hash: string) => ({
          type: folder === 'heads' ? 'branch' : 'tag',
          name: name.join('/'),
          target: { type: 'commit', hash, message, date: '2026-01-01T10:00:00+00:00' },
        })
        return {
          old: before === NONE ? null : end(before),
          new: after === NONE ? null : end(after),
          created: before === NONE,
          closed: after === NONE,
          forced: false,
          truncated: false,
          commits: [],
        }
      }),
    },
  })
  const headers = {
    ...json,
    'x-event-key': 'repo:push',
    'x-hook-uuid': randomUUID(),
    'x-request-uuid': randomUUID(),
    'x-attempt-number': '1',
    'x-hub-signature': `sha256=${hmac(secret, body)}`,
  }
  return { headers, body }
}

/** Bitbucket Data Center's `repo:refs_changed`. */
export function bitbucketServer(secret: string, { ref, after, before = sha(1) }: PushFacts): Delivery {
  const change = {
    ref: { id: ref, displayId: ref, type: 'BRANCH' },
    refId: ref,
    fromHash: before,
    toHash: after,
  }
  const body = JSON.stringify({ eventKey: 'repo:refs_changed', changes: [{ ...change, type: 'UPDATE' }] })
  const headers = {
    ...json,
    'x-event-key': 'repo:refs_changed',
    'x-request-id': randomUUID(),
    'x-hub-signature': `sha256=${hmac(secret, body)}`,
  }
  return { headers, body }
}
