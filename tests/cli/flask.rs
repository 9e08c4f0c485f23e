//! Applications of Flask-Migrate that keep their migrations elsewhere, or have several databases.

use std::fs;

use crate::support::Project;

const SHOP: &str = "\
import os
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_migrate import Migrate
db = SQLAlchemy()
migrate = Migrate(directory=os.path.join(os.path.dirname(__file__), 'db_migrations'))
def create_app():
    app = Flask(__name__)
    app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite:///' + os.path.abspath('app.db')
    db.init_app(app)
    migrate.init_app(app, db)
    return app
";

const REVISION: &str = "\
revision = 'aaaa1111'
down_revision = None
def upgrade():
    pass
def downgrade():
    pass
";

/// A package whose migrations are inside of it.
fn shop() -> Project {
    let project = Project::copy_of("flask/app", "project", "flask");
    fs::create_dir(project.root().join("shop")).unwrap();
    fs::rename(
        project.root().join("migrations"),
        project.root().join("shop/db_migrations"),
    )
    .unwrap();
    fs::remove_file(project.root().join("app.py")).unwrap();
    project.file("shop/__init__.py", SHOP)
}

/// Turns red if an application is found by the usual folder of its migrations alone.
#[test]
fn migrations_in_a_folder_of_the_application_are_found() {
    let by_variable = shop().env("FLASK_APP", "shop");
    let by_file = shop().file(
        "wsgi.py",
        "from shop import create_app\napp = create_app()\n",
    );
    for project in [by_variable, by_file] {
        let told = project.run("current --format json").exits(0).json();
        assert_eq!(
            told["engine"].as_str().unwrap().split(' ').next(),
            Some("flask"),
            "{told:#}"
        );
        assert_eq!(told["heads"].as_array().unwrap().len(), 1, "{told:#}");
    }
    // Nothing says where the application is, and the words say how to.
    let run = shop().run("current").exits(1);
    assert!(run.stderr.contains("--engine-command 'flask db'"), "{run}");
    // A variable of the environment does not make an application of a folder of SQL files.
    let sql = Project::copy_of("sql/shop", "project", "flask").env("FLASK_APP", "shop");
    let run = sql.run("current");
    assert!(!run.stderr.contains("flask"), "{run}");
}

const SEVERAL: &str = "\
import os
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
app = Flask(__name__)
here = os.path.dirname(os.path.abspath(__file__))
app.config['SQLALCHEMY_DATABASE_URI'] = f'sqlite:///{here}/app.db'
app.config['SQLALCHEMY_BINDS'] = {'audit': f'sqlite:///{here}/audit.db'}
db = SQLAlchemy(app)
migrate = Migrate(app, db)
";

/// The part of Flask-Migrate's template for several databases that runs the migrations.
const SEVERAL_ENV: &str = "\
from alembic import context
from flask import current_app

database = current_app.extensions['migrate'].db
for name in ['', 'audit']:
    engine = database.engines[name or None]
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations(engine_name=name)
";

/// Turns red if a way is suggested for several databases that `flask db` does not have, or if the one that is
/// suggested does not work.
#[test]
fn several_databases_are_refused_with_a_way_that_works() {
    let project = Project::copy_of("flask/app", "project", "flask").env("FLASK_APP", "app.py");
    fs::remove_dir_all(project.root().join("migrations/versions")).unwrap();
    let project = project
        .file("app.py", SEVERAL)
        .file("migrations/env.py", SEVERAL_ENV)
        .file(
            "migrations/versions/aaaa1111.py",
            REVISION.replace("()", "(engine_name)"),
        );
    project.engine("flask db upgrade");
    let run = project.run("plan -1").exits(1);
    assert!(!run.stderr.contains("-n SECTION"), "{run}");
    assert!(
        run.stderr
            .contains("context.get_x_argument(as_dictionary=True).get(\"db\")"),
        "{run}"
    );
    let run = project.run("-n audit plan -1").exits(1);
    assert!(run.stderr.contains("-x KEY=VALUE"), "{run}");

    let project = project.edit(
        "migrations/env.py",
        "    engine = ",
        "    if (context.get_x_argument(as_dictionary=True).get(\"db\") or '') != name:\n        continue\n    engine = ",
    );
    let run = project.run("-x db=audit plan -1").exits(0);
    assert!(run.stdout.contains("aaaa1111"), "{run}");
    project.run("-x db=audit downgrade-safe -1 -y").exits(0);
    assert_eq!(project.rows(), ["aaaa1111"], "the other database");
}
