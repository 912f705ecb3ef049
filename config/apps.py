from django.contrib.admin.apps import AdminConfig


class SitrepAdminConfig(AdminConfig):
    default_site = "config.admin.SitrepAdminSite"
