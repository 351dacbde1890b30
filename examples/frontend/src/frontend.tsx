import { Link, Route, Switch } from 'wouter'
import { useAccess, useConnection, useLongshore } from './longshore/react.js'
import type { ConnectionState } from './longshore/socket.js'
import { AppPage } from './pages/app-page.js'
import { AppsPage } from './pages/apps-page.js'
import { DeploymentPage } from './pages/deployment-page.js'
import { NewAppPage } from './pages/new-app-page.js'
import { SignInPage } from './pages/sign-in-page.js'
import { Page } from './parts/page.js'

/** All screens, for whoever is signed in. */
export function Frontend() {
  if (useAccess().token === null) return <SignInPage />
  return (
    <>
      <Header />
      <Switch>
        <Route path="/">
          <AppsPage />
        </Route>
        <Route path="/new">
          <NewAppPage />
        </Route>
        <Route path="/apps/:id">{({ id }) => <AppPage key={id} id={id} />}</Route>
        <Route path="/deployments/:id">{({ id }) => <DeploymentPage key={id} id={id} />}</Route>
        <Route>
          <Page title="Not found">
            <p>
              There is nothing here. Go to <Link href="/">your apps</Link>.
            </p>
          </Page>
        </Route>
      </Switch>
    </>
  )
}

const CONNECTION: Readonly<Record<ConnectionState, string>> = {
  connecting: 'Connecting…',
  live: 'Live',
  lost: 'Reconnecting…',
}

function Header() {
  const { signOut } = useLongshore()
  const connection = useConnection()
  return (
    <header className="top">
      <Link href="/" className="brand">
        Longshore
      </Link>
      <span className={`connection ${connection}`} role="status">
        {CONNECTION[connection]}
      </span>
      <button type="button" className="quiet" onClick={signOut}>
        Sign out
      </button>
    </header>
  )
}
