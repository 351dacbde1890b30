import { useQuery } from '@apollo/client/react'
import { useDeferredValue, useState } from 'react'
import { Link } from 'wouter'
import type { AppSummaryFragment } from '../longshore/gql/graphql.js'
import { APPS } from '../longshore/operations.js'
import { NoAnswer } from '../parts/answer.js'
import { Commit } from '../parts/commit.js'
import { Page } from '../parts/page.js'
import { Status } from '../parts/status.js'
import { Time } from '../parts/time.js'

export function AppsPage() {
  const [text, setText] = useState('')
  const search = useDeferredValue(text.trim()) || null
  const { data, previousData, error, fetchMore } = useQuery(APPS, { variables: { search } })
  const apps = (data ?? previousData)?.apps
  const create = (
    <Link href="/new" className="button">
      New app
    </Link>
  )
  return (
    <Page title="Apps" actions={create}>
      <input
        type="search"
        aria-label="Search apps"
        placeholder="Search by name or repository"
        value={text}
        onChange={({ target }) => setText(target.value)}
      />
      {!apps && <NoAnswer error={error} />}
      {apps?.nodes.length === 0 && (
        <p className="empty">{search === null ? 'No apps yet. Create the first one.' : 'No app matches.'}</p>
      )}
      <ul className="rows">
        {apps?.nodes.map((app) => (
          <AppRow key={app.id} app={app} />
        ))}
      </ul>
      {apps?.pageInfo.hasNextPage && (
        <button
          type="button"
          onClick={() => void fetchMore({ variables: { after: apps.pageInfo.endCursor } })}
        >
          Show more
        </button>
      )}
    </Page>
  )
}

function AppRow({ app }: { app: AppSummaryFragment }) {
  const { latestDeployment } = app
  return (
    <li>
      <div className="what">
        <Link href={`/apps/${app.id}`} className="name">
          {app.name}
        </Link>
        {latestDeployment ? <Commit deployment={latestDeployment} /> : <span>Never deployed</span>}
      </div>
      {latestDeployment && (
        <div className="state">
          <Status status={latestDeployment.status} />
          <Time at={latestDeployment.createdAt} />
        </div>
      )}
    </li>
  )
}
