import { useMutation, useQuery } from '@apollo/client/react'
import { Link, useLocation } from 'wouter'
import { messageOf } from '../longshore/form-errors.js'
import type { AppQuery, DeploymentSummaryFragment } from '../longshore/gql/graphql.js'
import { createIdempotencyKey } from '../longshore/http-link.js'
import { APP, DELETE_APP, DEPLOY } from '../longshore/operations.js'
import { NoAnswer, Problem } from '../parts/answer.js'
import { Commit } from '../parts/commit.js'
import { Page } from '../parts/page.js'
import { Status } from '../parts/status.js'
import { Time } from '../parts/time.js'

type Shown = NonNullable<AppQuery['app']>

export function AppPage({ id }: { id: string }) {
  const { data, error, fetchMore } = useQuery(APP, { variables: { id } })
  const app = data?.app
  if (!data)
    return (
      <Page title="App">
        <NoAnswer error={error} />
      </Page>
    )
  if (!app)
    return (
      <Page title="App">
        <p className="empty">This app does not exist any more.</p>
      </Page>
    )
  const { nodes, pageInfo } = app.deployments
  return (
    <Page title={app.name} actions={<DeployButton id={id} />}>
      <dl className="facts">
        <dt>Repository</dt>
        <dd>{app.repoUrl}</dd>
        <dt>Branch</dt>
        <dd>{app.branch ?? 'the repository’s default'}</dd>
        {app.stages.map((stage) => (
          <StageFacts key={stage.id} stage={stage} />
        ))}
      </dl>
      <h2>Deployments</h2>
      {nodes.length === 0 && <p className="empty">Nothing was deployed yet.</p>}
      <ul className="rows">
        {nodes.map((deployment) => (
          <DeploymentRow key={deployment.id} deployment={deployment} stage={deployment.stage.name} />
        ))}
      </ul>
      {pageInfo.hasNextPage && (
        <button type="button" onClick={() => void fetchMore({ variables: { after: pageInfo.endCursor } })}>
          Show more
        </button>
      )}
      <DeleteApp id={id} name={app.name} />
    </Page>
  )
}

function StageFacts({ stage: { name, url, current, stopped } }: { stage: Shown['stages'][number] }) {
  const runs = current ? <a href={url}>{url}</a> : 'nothing runs'
  return (
    <>
      <dt>{name}</dt>
      <dd>{stopped ? 'stopped' : runs}</dd>
    </>
  )
}

function DeploymentRow({ deployment, stage }: { deployment: DeploymentSummaryFragment; stage: string }) {
  return (
    <li>
      <div className="what">
        <Link href={`/deployments/${deployment.id}`} className="name">
          {deployment.id}
        </Link>
        <Commit deployment={deployment} />
      </div>
      <div className="state">
        <Status status={deployment.status} />
        <span>{stage}</span>
        <Time at={deployment.createdAt} />
      </div>
    </li>
  )
}

function DeployButton({ id }: { id: string }) {
  const [, navigate] = useLocation()
  const [deploy, { loading, error }] = useMutation(DEPLOY)
  const start = async () => {
    const { data } = await deploy({
      variables: { appId: id, input: { idempotencyKey: createIdempotencyKey() } },
    })
    if (data) navigate(`/deployments/${data.deploy.id}`)
  }
  return (
    <>
      {error && <Problem>{messageOf(error)}</Problem>}
      <button type="button" disabled={loading} onClick={() => void start().catch(() => undefined)}>
        {loading ? 'Deploying…' : 'Deploy'}
      </button>
    </>
  )
}

function DeleteApp({ id, name }: { id: string; name: string }) {
  const [, navigate] = useLocation()
  const [remove, { loading, error }] = useMutation(DELETE_APP, { variables: { id } })
  const start = async () => {
    if (!confirm(`Delete ${name} with everything that it runs, its deployments and their logs?`)) return
    await remove()
    navigate('/')
  }
  return (
    <footer>
      {error && <Problem>{messageOf(error)}</Problem>}
      <button
        type="button"
        className="danger"
        disabled={loading}
        onClick={() => void start().catch(() => undefined)}
      >
        Delete app
      </button>
    </footer>
  )
}
