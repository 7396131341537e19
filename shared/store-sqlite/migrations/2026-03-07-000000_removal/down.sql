drop table gone_links;
drop index clicks_of_principal;
