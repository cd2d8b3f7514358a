"""Everything that typesets: reports, runs and videos as pages, charts and tables.

Charts are drawn by Matplotlib, once each; pages are Jinja2 templates in ``templates/``. Both are
imported only where they are used.
"""
